"""The benchmarks measure what they say, on the smallest works; nothing of theirs is left after Ctrl-C."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest

CHECKOUT = Path(__file__).parents[2]
HANG = 120


def _words(tmp_path: Path, works: str) -> list[str]:
    given = ["--works", works, "--runners", "celeriac", "--repeat", "1", "--output", str(tmp_path)]
    return [sys.executable, "-m", "benchmarks", *given]


def test_a_work_and_a_peer_that_is_missing(tmp_path: Path) -> None:
    argv = [*_words(tmp_path, "load:3"), "--runners", "celeriac,toil"]
    env = {**os.environ, "BENCH_PEERS_VENV": str(tmp_path / "nowhere"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    ours = json.loads((tmp_path / "latest.json").read_text())["results"][0]
    assert (ours["note"], len(ours["runs"]), ours["runs"][0]["exit_code"]) == ("", 1, 1)
    assert (tmp_path / "latest.svg").exists()


@pytest.mark.needs("redis")
def test_a_gauge(tmp_path: Path) -> None:
    done = subprocess.run(
        _words(tmp_path, "latency:3"), cwd=CHECKOUT, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    (reading,) = json.loads((tmp_path / "latest.json").read_text())["readings"]
    assert (reading["note"], len(reading["turns"])) == ("", 1), done.stderr
    assert reading["medians"]["step to step, p50, ms"] > 0


@pytest.mark.needs("redis")
def test_nothing_is_left_of_a_gauge_that_was_interrupted(tmp_path: Path) -> None:
    argv = _words(tmp_path, "latency:500")
    process = subprocess.Popen(
        argv,
        cwd=CHECKOUT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # a job in the background has it off
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not (started := _workers(process.pid)):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG) == 130
    finally:
        process.kill()
        process.wait()
    assert not [child for child in started if child.is_running()]
    assert not (tmp_path / "latest.json").exists(), "the last whole report stays"


def _workers(pid: int) -> list[psutil.Process]:
    """Return all that a session has started once a worker is among it, before that nothing."""
    found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    with suppress(psutil.Error):  # one of them may end at this moment
        if any("worker" in child.cmdline() for child in found):
            return found
    return []
