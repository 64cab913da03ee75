"""What proc(5) tells about processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Stat:
    """The part of ``/proc/PID/stat`` that is needed here."""

    state: str  # one letter
    group: int
    start: int  # clock ticks since boot

    @property
    def is_alive(self) -> bool:
        """Whether the process runs: a zombie waits for its parent, and does nothing more."""
        return self.state not in "ZX"


def stat(pid: int) -> Stat | None:
    """Return a process's state; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a program's name may hold spaces and parentheses
    return Stat(fields[0], int(fields[2]), int(fields[19]))


def pids() -> Iterator[int]:
    """Yield the ids of all processes."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def environment(pid: int) -> list[bytes]:
    """Return a process's environment as it was at its start; empty if it is gone, or another user's."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return file.readall().split(b"\0")
    except OSError:
        return []
