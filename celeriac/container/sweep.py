"""The sweep after plain processes: ends what a tool left behind on purpose.

A child that left its tool's process group and session is found by the tool's mark in its environment,
and that takes a look at every process of the host: a millisecond or more, too dear for every tool
that ends well. So one look, soon after, serves all the tools that have ended by then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading

from celeriac.container.procfs import environment, pids

#: Seconds between a tool's end and the look for what it left.
DELAY = 3.0


class Sweep:
    """The marks of a runner's living tools in this process; whoever bears another mark of it is ended."""

    def __init__(self, prefix: str) -> None:
        self.pid = os.getpid()
        self._prefix = prefix.encode()
        self._lock = threading.Lock()
        self._alive: set[bytes] = set()
        self._timer: threading.Timer | None = None

    def begin(self, mark: str) -> None:
        """Say that a tool with this mark is about to start."""
        with self._lock:
            self._alive.add(mark.encode())

    def end(self, mark: str) -> None:
        """Say that it has ended."""
        with self._lock:
            self._alive.discard(mark.encode())
            if self._timer is None:
                self._timer = threading.Timer(DELAY, self._due)
                self._timer.daemon = True
                self._timer.start()

    def now(self) -> None:
        """Look at once, if anything has ended since the last look."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            self._look()

    def _due(self) -> None:
        with self._lock:
            self._timer = None
        self._look()

    def _look(self) -> None:
        for pid in pids():
            mark = next((entry for entry in environment(pid) if entry.startswith(self._prefix)), None)
            if mark is None:
                continue
            with self._lock:
                stray = mark not in self._alive
            if stray:
                kill_marked(pid, mark)


def kill_marked(pid: int, mark: bytes) -> None:
    """SIGKILL a process if it still is the one that bears the mark."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:  # gone, or a kernel without
        with contextlib.suppress(OSError):
            if mark in environment(pid):
                os.kill(pid, signal.SIGKILL)
        return
    with contextlib.suppress(OSError):
        try:
            if mark in environment(pid):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
