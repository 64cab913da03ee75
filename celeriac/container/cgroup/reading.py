"""What the processes of one group use and have used, by the files of either version."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

#: Version 1 counts here what went over a limit; with no swap allowed it is the second that is met first.
_FAILURES = ("memory.failcnt", "memory.memsw.failcnt")
_USED = ("memory.current", "memory.usage_in_bytes")
#: Bytes that are read at once.
_PIECE = 65536


@dataclass(frozen=True)
class Reading:
    """One look at a group. None: the kernel does not tell."""

    used: int | None = None  # bytes charged to it now, page cache included
    needed: int | None = None  # those of them that the kernel could not drop
    high_water: int | None = None  # the most bytes that ever were charged to it, page cache included
    cpu_seconds: float | None = None
    oom_kills: int = 0  # processes that the kernel ended for want of memory
    at_limit: bool = False  # it has wanted more than its limit


def read(memory: str | None, cpu: str | None) -> Reading | None:
    """Look at a group by its directories; None where it can't be seen."""
    # in this order, and the lesser of two: then what a tool takes meanwhile is neither lost from its need nor taken
    # for cache, and what it gives back meanwhile is not taken for cache either
    high_water = _number(memory, "memory.peak", "memory.max_usage_in_bytes")
    before = _number(memory, *_USED)
    stats = _table(memory, "memory.stat")
    after = None if before is None else _number(memory, *_USED)
    used = before if after is None else min(before or 0, after)
    if used is None and (seconds := _cpu_seconds(cpu)) is None:
        return None
    events = _table(memory, "memory.events")
    return Reading(
        used=used,
        needed=needed(stats),
        high_water=high_water,
        cpu_seconds=seconds if used is None else _cpu_seconds(cpu),
        oom_kills=(events or _table(memory, "memory.oom_control")).get("oom_kill", 0),
        at_limit=bool(events.get("oom", 0) or any(_number(memory, name) for name in _FAILURES)),
    )


def needed(stats: Mapping[str, int]) -> int | None:
    """Return the bytes that can't be dropped, by the names of ``memory.stat``; None: it does not tell.

    Anonymous and shared memory: without swap they stay. The page cache is dropped when memory is short.
    """
    if "anon" in stats:
        return stats["anon"] + stats.get("shmem", 0)
    if "total_rss" not in stats:
        return None
    # an engine leaves out what is shared: it is what of the cache is on no list of files
    files = stats.get("total_active_file", 0) + stats.get("total_inactive_file", 0)
    shared = stats.get("total_shmem", max(0, stats.get("total_cache", 0) - files))
    return stats["total_rss"] + shared


def _cpu_seconds(directory: str | None) -> float | None:
    stats = _table(directory, "cpu.stat")
    if "usage_usec" in stats:
        return stats["usage_usec"] / 1e6
    nanoseconds = _number(directory, "cpuacct.usage")
    return None if nanoseconds is None else nanoseconds / 1e9


def _number(directory: str | None, *names: str) -> int | None:
    """Return the number in the first of the files that is there."""
    for name in names:
        found = _text(directory, name).strip()
        if found.isdigit():
            return int(found)
    return None


def _table(directory: str | None, name: str) -> dict[str, int]:
    """Return the lines ``KEY NUMBER`` of a file; empty if it is not there."""
    pairs = (line.split() for line in _text(directory, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _text(directory: str | None, name: str) -> str:
    return "" if directory is None else text(f"{directory}/{name}")


def text(path: str) -> str:
    """Return what is in a file of the kernel; empty if it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a tool's look costs as little as can be
    except OSError:
        return ""
    try:
        parts = []
        while part := os.read(fd, _PIECE):
            parts.append(part)
        return b"".join(parts).decode("ascii")
    except OSError:  # the group has gone meanwhile
        return ""
    finally:
        os.close(fd)
