"""The kernel's own word of an out-of-memory kill in a container (cgroups version 1).

An engine hears of it from the kernel as we do, but asks for the group's state afterwards, and drops the
news where the group is gone by then: seen with Docker 20.10 in one of twenty containers when many ended
at once, so that a child's end by the kernel looked like the tool's own exit code.
"""

from __future__ import annotations

import contextlib
import os
import time

#: Seconds by which the news that a group was removed may come after its removal.
REMOVAL_LAG = 0.3
_PAUSE = 0.02


class OomWatch:
    """An eventfd that the kernel rings when the group is out of memory, and once when it is removed.

    Source: the kernel's Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
    """

    def __init__(self, directory: str, fd: int) -> None:
        self._directory = directory
        self._fd = fd
        self._rings = 0
        self._certain = False

    @classmethod
    def of(cls, directory: str | None) -> OomWatch | None:
        """Watch a group; None where that can't be done: another version, no right, gone."""
        if directory is None or not os.path.exists(f"{directory}/cgroup.event_control"):
            return None
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            _register(directory, fd)
        except OSError:
            os.close(fd)
            return None
        return cls(directory, fd)

    def rang(self) -> bool:
        """Tell whether the group ran out of memory; waits a little where that can't be told from its removal."""
        until = time.monotonic() + REMOVAL_LAG
        while True:
            self._hear()
            if self._certain or self._rings > 1:
                return True
            if not self._rings or time.monotonic() > until:
                return False
            time.sleep(_PAUSE)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._rings += os.eventfd_read(self._fd)
            # in this order: a group that is there still has not rung for its removal
            self._certain = self._certain or os.path.isdir(self._directory)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)


def _register(directory: str, fd: int) -> None:
    control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY)
    try:
        order = os.open(f"{directory}/cgroup.event_control", os.O_WRONLY)
        try:
            os.write(order, f"{fd} {control}".encode())
        finally:
            os.close(order)
    finally:
        os.close(control)
