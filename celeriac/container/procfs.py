"""What proc(5) tells about processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Numbers up to which each is looked at, rather than all the processes that there are.
FEW = 200


@dataclass(frozen=True)
class Stat:
    """The part of ``/proc/PID/stat`` that is needed here."""

    state: str  # one letter
    parent: int
    group: int
    session: int
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
    return Stat(fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def pids() -> Iterator[int]:
    """Yield the ids of all processes."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def family(leader: int, mark: bytes) -> set[int]:
    """Return the living processes that come from ``leader``, itself included.

    Those are its descendants, the members of its group and session, and those with the entry ``mark`` in
    their environment. Costs a look at the processes alone that are younger: the kernel counts their
    numbers up, and starts again only at its maximum.
    """
    youngest = last_started()
    few = leader <= youngest < leader + FEW
    among = list(range(leader, youngest + 1) if few else pids())
    return _relatives({leader, *(pid for pid in among if mark in environment(pid))}, among)


def relatives(of: Iterable[int]) -> set[int]:
    """Return the living processes that come from any of these or share a group or session with one, themselves too."""
    roots = set(of)
    known = [found for found in map(stat, roots) if found]
    return _relatives(roots | {one.group for one in known} | {one.session for one in known}, pids())


def _relatives(roots: set[int], among: Iterable[int]) -> set[int]:
    stats = {pid: one for pid in among if (one := stat(pid)) and one.is_alive}
    found = roots & stats.keys()
    while more := {
        pid for pid, one in stats.items() if pid not in found and {one.parent, one.group, one.session} & (roots | found)
    }:
        found |= more
    return found


def last_started() -> int:
    """Return the number that was given last to a process or thread (proc_loadavg(5))."""
    with open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[-1])


def environment(pid: int) -> list[bytes]:
    """Return a process's environment as it was at its start; empty if it is gone, or another user's."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return file.readall().split(b"\0")
    except OSError:
        return []
