"""What a container used, read from its cgroup while it runs. Best effort: no call to the engine.

The cgroup goes with its last process, so the last look counts: a tool of milliseconds may have none,
and what was used after the last look is not seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable

#: Seconds until the first look, and at most between two.
FIRST, MOST = 0.02, 1.0

_ROOT = "/sys/fs/cgroup"
#: Where engines put a container: Docker with cgroupfs and with systemd, Podman.
_GROUPS = ("docker/{id}", "system.slice/docker-{id}.scope", "machine.slice/libpod-{id}.scope")


class Usage:
    """The highest numbers seen so far."""

    def __init__(self, container: str, *, is_local: bool) -> None:
        self.peak_memory: int | None = None
        self.cpu_seconds: float | None = None
        self._container = container
        self._group: str | None = None if is_local else ""
        self._interval = FIRST
        self._next = 0.0

    def look(self, now: float) -> float:
        """Look if it is time to; return the seconds until the next look."""
        if now >= self._next:
            self._read()
            self._next = now + self._interval
            self._interval = min(MOST, self._interval * 2)
        return self._next - now

    def _read(self) -> None:
        if self._group is None:
            self._group = _find(self._container)
        if not self._group:
            return
        memory = _first(self._group, _MEMORY)
        cpu = _first(self._group, _CPU)
        self.peak_memory = int(memory) if memory is not None else self.peak_memory
        self.cpu_seconds = cpu if cpu is not None else self.cpu_seconds


def _find(container: str) -> str:
    for group in _GROUPS:
        path = group.format(id=container)
        if os.path.isdir(f"{_ROOT}/{path}") or os.path.isdir(f"{_ROOT}/memory/{path}"):
            return path
    return ""


def _microseconds(text: str) -> float:
    return float(text.split()[1]) / 1e6  # the first line is `usage_usec N`


def _nanoseconds(text: str) -> float:
    return float(text) / 1e9


#: (file, its meaning): version 2 of cgroups, then version 1.
_MEMORY: list[tuple[str, Callable[[str], float]]] = [
    ("{group}/memory.peak", float),
    ("memory/{group}/memory.max_usage_in_bytes", float),
]
_CPU: list[tuple[str, Callable[[str], float]]] = [
    ("{group}/cpu.stat", _microseconds),
    ("cpuacct/{group}/cpuacct.usage", _nanoseconds),
]


def _first(group: str, files: list[tuple[str, Callable[[str], float]]]) -> float | None:
    for file, meaning in files:
        try:
            with open(f"{_ROOT}/{file.format(group=group)}", encoding="ascii") as source:
                return meaning(source.read())
        except (OSError, ValueError, IndexError):
            continue
    return None
