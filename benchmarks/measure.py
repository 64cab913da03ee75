"""Run one command and measure it as a whole: its time, and the memory of its process tree."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

#: Seconds between two looks at the process tree.
SAMPLE = 0.05
#: Seconds from which on a process counts: between fork and exec, a child shows its parent's memory as its own.
SETTLED = 0.25
#: How much more resident memory than ever before makes a look at what of it is shared worth its time.
MORE = 1.03
#: Seconds that a command gets after SIGTERM, and its tree after the command has ended.
GRACE = 5.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Measure:
    """What one run of a command took. Memory is in bytes."""

    seconds: float  # from before the fork to the end of the command
    tree_peak: int  # of the tree: resident memory, where a page that processes share counts once among them
    child_peak: int  # ru_maxrss of the command: the largest process it has waited for, or itself
    exit_code: int  # negative for a signal
    timed_out: bool
    left_behind: int  # processes that outlived the command and were ended here


def adopt_orphans() -> None:
    """Make this process the parent of what its descendants leave behind.

    So a program that puts itself into the background is still part of the tree (Linux only).
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def measure(
    command: list[str], *, env: dict[str, str], cwd: Path, stdout: Path, stderr: Path, timeout: float
) -> Measure:
    """Run ``command`` to its end, or for ``timeout`` seconds, with its output in the two files.

    Needs :func:`adopt_orphans` before, and no other children of this process.
    """
    with stdout.open("wb") as out, stderr.open("wb") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        watch = _Watch(process.pid, start + timeout)
        watch.start()
        try:
            # Not Popen.wait: it has no resource usage, and with a timeout it polls.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watch.stop()
            left_behind = end_all()
    return Measure(
        seconds=seconds,
        tree_peak=watch.peak,
        child_peak=usage.ru_maxrss * 1024,
        exit_code=process.returncode,
        timed_out=watch.timed_out,
        left_behind=left_behind,
    )


class _Watch(threading.Thread):
    """Adds up the tree's memory again and again; ends the command at its deadline."""

    def __init__(self, pid: int, deadline: float) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._resident = 0.0
        self.timed_out = False
        self._pid = pid
        self._deadline = deadline
        self._stopped = threading.Event()

    def run(self) -> None:
        since: dict[psutil.Process, float] = {}
        while not self._stopped.wait(SAMPLE):
            now = time.perf_counter()
            since = {process: since.get(process, now) for process in _tree()}
            self._look([process for process, first in since.items() if now - first >= SETTLED])
            if now > self._deadline:
                self._end()

    def _look(self, processes: list[psutil.Process]) -> None:
        """Note the memory if there is more than before: to look closer takes a millisecond a process."""
        resident = sum(map(_resident, processes))
        if resident > self._resident * MORE:
            self._resident = resident
            self.peak = max(self.peak, sum(map(_own, processes)))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _end(self) -> None:
        self.timed_out = True
        _quietly(lambda: os.kill(self._pid, signal.SIGTERM))
        if not self._stopped.wait(GRACE):
            for process in _tree():
                _quietly(process.kill)


def _tree() -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process().children(recursive=True)
    return children


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _own(process: psutil.Process) -> int:
    """Return a process's share of the pages that it has: PSS."""
    with contextlib.suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0


def _quietly(act: Callable[[], object]) -> None:
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        act()


def end_all() -> int:
    """Wait for the tree to end, then kill what has not; return how many had to be killed."""
    _, alive = psutil.wait_procs(_tree(), timeout=GRACE)
    stubborn = len(alive)
    while alive:  # a killed process hands its children to us
        for process in alive:
            _quietly(process.kill)
        psutil.wait_procs(alive, timeout=GRACE)
        alive = _tree()
    return stubborn
