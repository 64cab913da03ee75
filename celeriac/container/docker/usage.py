"""What a container used: read from its cgroup where it can be seen from here, else asked of the engine.

The cgroup goes with its last process, so the last look counts: a tool of milliseconds may have none,
and what was used after the last look is not seen. The engine is asked where this process is itself in a
container, or the engine on another host; seldom, and with little patience, since meanwhile output waits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celeriac.container.cgroup.hierarchy import Hierarchy, hierarchies
from celeriac.container.cgroup.reading import Reading, needed, read
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.oom import OomWatch
from celeriac.container.usage import Usage

log = logging.getLogger(__name__)

#: Seconds between two questions to the engine, and until the next one after it gave no answer.
ASK_EVERY, ASK_AFTER_SILENCE = 5.0, 60.0
#: Seconds until the first question: most tools are over by then.
ASK_FIRST = 1.0

#: Where engines put a container: Docker with cgroupfs and with systemd, Podman.
_GROUPS = ("docker/{id}", "system.slice/docker-{id}.scope", "machine.slice/libpod-{id}.scope")


class ContainerUsage(Usage):
    """Looks at one container; to be closed."""

    def __init__(self, connection: Connection, container: str, limit: int | None) -> None:
        super().__init__(self._see, limit)
        self._connection = connection
        self._container = container
        self._groups: dict[str, str] | None = None if connection.options.is_local else {}
        self._is_first = True
        self._asked = 0
        self._watch: OomWatch | None = None

    def close(self) -> None:
        """Let go of what watches the container."""
        if self._watch is not None:
            self._watch.close()

    def was_oom_killed(self) -> bool:
        """Tell whether the kernel ended a process of it for want of memory, as far as that is seen."""
        return bool(self.oom_kills) or (self._watch is not None and self._watch.rang())

    def look_at_the_end(self) -> None:
        """Look once more when the output has ended: the cgroup may still be there. The engine is not asked."""
        if self._groups:
            self.look_now()

    def _see(self) -> Reading | None:
        if self._is_first:
            self._is_first = False
            self._begin()
            if not self._groups:
                return None
        return read(self._groups.get("memory"), self._groups.get("cpu")) if self._groups else self._ask()

    def _begin(self) -> None:
        if self._groups is None:
            self._groups = find(self._container, hierarchies())
        if not self._groups:
            self.every(ASK_FIRST)
        elif self._limit:
            self._watch = OomWatch.of(self._groups.get("memory"))

    def _ask(self) -> Reading | None:
        try:
            answer = self._connection.brisk.stats(self._container, stream=False, one_shot=self._connection.has_one_shot)
        except NO_ANSWER as error:
            log.debug("what '%s' uses is not known: %s", self._container, error)
            self.every(ASK_AFTER_SILENCE)
            return None
        self.every(ASK_EVERY)
        return reading_of(answer)


class SharedUsage(Usage):
    """Looks at what one command uses in a container that others have used before it."""

    def __init__(self, groups: Mapping[str, str], limit: int | None, watch: OomWatch | None) -> None:
        super().__init__(self._see, limit)
        self._memory, self._cpu = groups.get("memory"), groups.get("cpu")
        self._watch = watch
        # a mark that can't be set back (but root may, in version 1) would be the others'
        self._has_mark = _set_back(f"{self._memory}/memory.max_usage_in_bytes")
        before = read(None, self._cpu)
        self._before = (before.cpu_seconds if before else None) or 0.0

    def was_oom_killed(self) -> bool:
        """Tell whether the kernel ended a process for want of memory: the first one is the container's last."""
        return bool(self.oom_kills) or (self._watch is not None and self._watch.rang())

    def _see(self) -> Reading | None:
        found = read(self._memory, self._cpu)
        if found is None:
            return None
        seconds = None if found.cpu_seconds is None else found.cpu_seconds - self._before
        return replace(found, cpu_seconds=seconds, high_water=found.high_water if self._has_mark else None)


def _set_back(path: str) -> bool:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("0")
    except OSError:
        return False
    return True


def find(container: str, trees: Mapping[str, Hierarchy]) -> dict[str, str]:
    """Return the directories of a container's cgroup that tell of memory and CPU time; empty if it has none here."""
    found = {}
    for key, controllers in (("memory", ("memory",)), ("cpu", ("cpuacct", "cpu"))):
        tree = next((trees[name] for name in controllers if name in trees), None)
        for group in _GROUPS if tree else ():
            path = f"{tree.mount if tree else ''}/{group.format(id=container)}"
            if os.path.isdir(path):
                found[key] = path
                break
    return found


def reading_of(answer: Mapping[str, Any]) -> Reading | None:
    """Return what the engine's statistics of a container say; None if they say nothing: it has ended.

    The fields are those of the Engine API (ContainerStats); ``stats`` holds ``memory.stat`` of either version.
    Podman has no such field: there the page cache can't be told apart.
    """
    memory, cpu = answer.get("memory_stats") or {}, (answer.get("cpu_stats") or {}).get("cpu_usage") or {}
    used, stats = memory.get("usage"), memory.get("stats") or {}
    if not used:
        return None
    total = cpu.get("total_usage")
    return Reading(
        used=used,
        needed=_needed(used, stats),
        high_water=memory.get("max_usage") or None,
        cpu_seconds=total / 1e9 if total else None,
    )


def _needed(used: int, stats: Mapping[str, int]) -> int:
    known = needed(stats)
    return max(0, used - stats.get("inactive_file", stats.get("total_inactive_file", 0))) if known is None else known
