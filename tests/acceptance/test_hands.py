"""`celeriac run` with processes of its own for its steps: what becomes of a run when one of them, or the run, dies."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.acceptance.commands import HANG, NUMBERS, Desk

RUN = ("run", "--quiet", "--outdir", "out", "--no-reuse", "numbers.cwl")


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    (tmp_path / "numbers.cwl").write_text(NUMBERS)
    return Desk(tmp_path, {"CELERIAC_HOST_CPUS": "2"})


def until(condition: Callable[[], object], missing: str) -> None:
    end = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < end, missing
        time.sleep(0.05)


def hands(pid: int) -> list[psutil.Process]:
    """Return the processes that a run has forked for its steps: its children with its own command line."""
    own = psutil.Process(pid)
    return [child for child in own.children() if words(child) == words(own)]


def words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it has just ended
        return []


def tools(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children(recursive=True) if "begin" in " ".join(words(child))]


def at_work(pid: int) -> bool:
    return len({tool.ppid() for tool in tools(pid)} & {hand.pid for hand in hands(pid)}) == 2


def blocked(here: Desk) -> tuple[str, ...]:
    return (*RUN, "--count", "6", "--gate", str(here.directory / "gate"))


def test_a_run_with_a_scatter_has_two_and_a_single_tool_none(here: Desk) -> None:
    with here.start(*blocked(here)) as process:
        until(lambda: at_work(process.pid), "no step runs in them")
        family = hands(process.pid)
        (here.directory / "gate").touch()
        out, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0 and json.loads(out)["all"] == "0\n1\n2\n3\n4\n5\n"
    assert len(family) == 2 and not [one for one in family if one.is_running()]
    (here.directory / "gate").unlink()
    (here.directory / "wait.cwl").write_text(
        "{cwlVersion: v1.2, class: CommandLineTool, inputs: [], outputs: [], "
        f"baseCommand: [sh, -c, 'until [ -e {here.directory}/gate ]; do sleep 0.05; done # begin']}}"
    )
    with here.start("run", "--quiet", "wait.cwl") as process:
        until(lambda: tools(process.pid), "it does not run")
        assert hands(process.pid) == []
        (here.directory / "gate").touch()
        process.communicate(timeout=HANG)


def test_one_that_is_killed_loses_no_step(here: Desk) -> None:
    with here.start(*blocked(here)) as process:
        until(lambda: at_work(process.pid), "no step runs in them")
        victim = hands(process.pid)[0]
        left = tools(victim.pid)
        victim.kill()
        until(lambda: not [tool for tool in left if tool.is_running()], "what it ran goes on")
        (here.directory / "gate").touch()
        out, said = process.communicate(timeout=HANG)
    assert process.returncode == 0, said
    assert json.loads(out)["all"] == "0\n1\n2\n3\n4\n5\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_run_stops_them_and_their_tools(here: Desk, number: signal.Signals, code: int) -> None:
    with here.start(*blocked(here)) as process:
        until(lambda: at_work(process.pid), "no step runs in them")
        family = [*hands(process.pid), *tools(process.pid)]
        for one in (process, *hands(process.pid)):  # as a terminal does it: to the whole group
            one.send_signal(number)
        process.communicate(timeout=HANG)
    assert process.returncode == code
    assert not [one for one in family if one.is_running()]
    assert here.json("list")[0]["state"] == "CANCELED"


def test_when_the_run_is_killed_they_stop_their_tools_and_end_and_it_can_be_resumed(here: Desk) -> None:
    with here.start(*blocked(here)) as process:
        until(lambda: at_work(process.pid), "no step runs in them")
        family = [*hands(process.pid), *tools(process.pid)]
        process.kill()
        process.wait(HANG)
        until(lambda: not [one for one in family if one.is_running()], "something of it goes on")
    (here.directory / "gate").touch()
    outputs = json.loads(here("resume", "--quiet", here.newest()).stdout)
    assert outputs["all"] == "0\n1\n2\n3\n4\n5\n"
