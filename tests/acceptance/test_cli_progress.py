"""What a person sees of a run while it goes on: in a terminal, and in a log."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.commands import CELERIAC, HANG, Desk, desk

WIDE = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {numbers: 'int[]'}
outputs: {all: {type: 'int[]', outputSource: twice/number}}
steps:
  twice:
    in: {number: numbers}
    scatter: number
    out: [number]
    run:
      class: ExpressionTool
      inputs: {number: int}
      outputs: {number: int}
      expression: '$({number: 2 * inputs.number})'
"""
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    """A desk."""
    return desk(tmp_path)


class Terminal:
    """What a command that has a terminal as standard error wrote there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = ""

    def until(self, pattern: str) -> None:
        """Read until the pattern is there."""
        deadline = time.monotonic() + HANG
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline and self._read(), self.text

    def rest(self) -> None:
        """Read to the end."""
        while self._read():
            pass

    def _read(self) -> bool:
        try:
            piece = os.read(self._descriptor, 65536)
        except OSError as error:  # how Linux says that the other side is closed
            assert error.errno == errno.EIO
            return False
        self.text += piece.decode()
        return bool(piece)


@contextmanager
def in_terminal(here: Desk, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Terminal]]:
    """Start `celeriac WORDS` with a terminal as standard error, and a file as standard output."""
    ours, theirs = pty.openpty()
    with (here.directory / "stdout").open("wb") as stdout:
        process = subprocess.Popen(
            [str(CELERIAC), *words],
            cwd=here.directory,
            env={**here.environment(), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=theirs,
        )
    os.close(theirs)
    try:
        yield process, Terminal(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_terminal_shows_what_runs(here: Desk) -> None:
    gate = here.directory / "gate"
    with in_terminal(here, "run", "--no-container", "numbers.cwl", "--gate", str(gate)) as (process, terminal):
        terminal.until(r"work.*0/3, \d running")
        terminal.until("1 of 5 jobs done")  # numbers; join waits and counts
        gate.touch()
        assert process.wait(HANG) == 0
        terminal.rest()
    assert re.search(r"numbers.cwl \(\w+\) is SUCCESS: 5 of 5 jobs done in [\d.]+s\r\n$", terminal.text)
    assert terminal.text.rfind(SHOW) > terminal.text.rfind(HIDE)
    assert json.loads((here.directory / "stdout").read_text()) == {"all": "0\n1\n2\n"}


def test_a_terminal_shows_failures(here: Desk) -> None:
    words = ("run", "--no-container", "--on-error", "continue", "numbers.cwl", "--count", "40", "--fail", "0")
    with in_terminal(here, *words) as (process, terminal):
        assert process.wait(HANG) == 1
        terminal.rest()
    assert re.search(r"is FAILED: 40 of 42 jobs done, 1 failed", terminal.text)
    assert "'work[0]' ended with exit code 7" in terminal.text


def test_a_terminal_is_in_order_after_a_kill(here: Desk) -> None:
    words = ("run", "--no-container", "numbers.cwl", "--gate", str(here.directory / "never"))
    with in_terminal(here, *words) as (process, terminal):
        terminal.until(r"0/3, \d running")
        process.kill()
        process.wait()
        terminal.rest()
    assert terminal.text.rfind(SHOW) > terminal.text.rfind(HIDE)


def test_a_log_gets_plain_lines(here: Desk) -> None:
    gate = here.directory / "gate"
    with here.start("run", "--no-container", "numbers.cwl", "--gate", str(gate)) as process:
        assert process.stderr is not None and process.stdout is not None
        first = process.stderr.readline()
        gate.touch()
        rest = process.stderr.read()
        assert json.loads(process.stdout.read()) == {"all": "0\n1\n2\n"}
    assert re.fullmatch(r"\[[\d.]+s\] .*\n", first)
    assert re.fullmatch(r"numbers.cwl \(\w+\) is SUCCESS: 5 of 5 jobs done in [\d.]+s", rest.splitlines()[-1])
    assert "\x1b" not in first + rest


def test_a_wide_scatter_gives_few_lines(here: Desk) -> None:
    (here.directory / "wide.cwl").write_text(WIDE)
    (here.directory / "job.json").write_text(json.dumps({"numbers": list(range(1000))}))
    done = here("run", "--no-container", "wide.cwl", "job.json")
    assert json.loads(done.stdout)["all"][-1] == 1998
    lines = done.stderr.splitlines()
    assert "1000 of 1000 jobs done" in lines[-1]
    assert len(lines) <= 24


def test_quiet_says_nothing(here: Desk) -> None:
    assert here("run", "--no-container", "--quiet", "numbers.cwl").stderr == ""


@pytest.mark.parametrize("place", [">&-", "> /dev/full"])
def test_progress_that_can_not_be_shown_does_not_break_the_run(here: Desk, place: str) -> None:
    done = subprocess.run(
        f"{CELERIAC} run --no-container numbers.cwl 2{place}",
        shell=True,
        cwd=here.directory,
        env=here.environment(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANG,
    )
    assert json.loads(done.stdout) == {"all": "0\n1\n2\n"}
    assert done.returncode == 0
