"""The end of a child process: as a file descriptor, and what it used."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """How a child process ended."""

    code: int | None  # negative: that signal; None: somebody else has reaped it
    peak_memory: int | None = None  # bytes
    cpu_seconds: float | None = None


@contextlib.contextmanager
def exit_fd(pid: int) -> Iterator[int]:
    """Yield a descriptor that is readable when a child has ended; the child is not reaped.

    A pidfd (Linux 5.3), else one that a waiting thread writes to.
    """
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        fd = _fd_of_waiting_thread(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _fd_of_waiting_thread(pid: int) -> int:
    fd = os.eventfd(0)
    answer = os.dup(fd)  # its own number: the reader may have closed the first one

    def wait() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.eventfd_write(answer, 1)
        os.close(answer)

    threading.Thread(target=wait, name=f"wait-{pid}", daemon=True).start()
    return fd


def reap(process: subprocess.Popen[bytes]) -> Exit:
    """Reap a child that has ended, this one alone: another thread's children stay theirs."""
    # The kernel counts the forking process into the peak up to exec: below our own peak the
    # number says nothing about the child.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except ChildProcessError:
        process.returncode = -1
        return Exit(None)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code  # or subprocess would look for it again
    peak = usage.ru_maxrss * 1024 if usage.ru_maxrss > ours else None
    return Exit(code, peak, usage.ru_utime + usage.ru_stime)
