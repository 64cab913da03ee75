"""The groups of plain processes: one a tool, below the group of the worker that runs it.

A name tells whose it is: ``celeriac.TOOL.PID.START.NAMESPACE.NUMBER``, where TOOL is a digest of the
command's name and the three after it are the worker (see ``owner.py``). So the group of a worker that
was killed can be told from that of a living one, and is removed with all that is in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from celeriac.container.cgroup.group import Group, hand_down
from celeriac.container.cgroup.hierarchy import Hierarchy, hierarchies
from celeriac.container.owner import OWNER, is_dead, owner_labels

PREFIX = "celeriac."
#: Seconds between two looks for groups of dead workers, and the most that one look removes.
SWEEP_EVERY, SWEEP_MOST = 60.0, 100
#: Seconds for which this process is taken to be in the group that it was found in.
KEPT = 1.0
#: Counts CPU time under version 1: no limit needs it.
_COUNTS_ONLY = "cpuacct"


class ToolGroups:
    """Makes and finds the groups of tools. ``proc``: where proc(5) is. Safe to use from many threads."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._swept = -SWEEP_EVERY
        self._own: tuple[int, float, dict[str, Hierarchy]] = 0, 0.0, {}

    def make(self, name: str, *, memory: int | None, cpus: float | None) -> tuple[Group | None, dict[str, str]]:
        """Return a new group with the limits that can be had, and why each of the others can't.

        The keys of the second are ``memory`` and ``cpu``; there is no group where both are in it.
        """
        wanted = [key for key, amount in (("memory", memory), ("cpu", cpus)) if amount]
        trees = self._trees()
        bases, problems = _choose({key: trees[key] for key in (*wanted, _COUNTS_ONLY) if key in trees})
        for key in wanted:
            if key not in trees:
                problems[key] = "this host has no such cgroup controller"
        self._sweep(set(bases.values()))
        return self._make(f"{_digest(name)}.{_owner()}.{uuid.uuid4().hex[:8]}", bases, memory, cpus, problems)

    def _trees(self) -> dict[str, Hierarchy]:
        """Return where this process is; looked up once in a while, since short tools come fast."""
        pid, until, trees = self._own
        if pid != os.getpid() or time.monotonic() > until:
            trees = hierarchies(self._proc)
            self._own = os.getpid(), time.monotonic() + KEPT, trees
        return trees

    def _make(
        self, name: str, bases: Mapping[str, str], memory: int | None, cpus: float | None, problems: dict[str, str]
    ) -> tuple[Group | None, dict[str, str]]:
        paths: dict[str, str] = {}
        for key, base in bases.items():
            path = f"{base}/{name}"
            try:
                if path not in paths.values():
                    os.mkdir(path)
                paths[key] = path
                if key == "memory" and memory:
                    Group(paths).limit_memory(memory)
                elif key == "cpu" and cpus:
                    Group(paths).limit_cpus(cpus)
            except OSError as error:
                problems[key] = _why(error)
        problems.pop(_COUNTS_ONLY, None)
        group = Group(paths) if paths else None
        if group and not {"memory", "cpu"} & paths.keys() - problems.keys():
            group.remove()
            group = None
        return group, problems

    def of(self, name: str, pids: Iterable[int] = ()) -> list[Group]:
        """Return the groups of the tool ``name``, whoever made them: near this process's, and around ``pids``."""
        prefix = _digest(name) + "."
        places = {place for tree in hierarchies(self._proc).values() for place in _bases(tree)}
        for pid in pids:
            places |= {os.path.dirname(tree.own) for tree in hierarchies(self._proc, pid).values()}
        return _gather(places, prefix)

    def _sweep(self, bases: Iterable[str]) -> None:
        """Remove the groups of dead workers, now and then."""
        now = time.monotonic()
        if now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        labels = owner_labels()
        for group in _gather(bases, PREFIX, labels, most=SWEEP_MOST):
            group.kill()
            group.remove()


def _bases(tree: Hierarchy) -> Iterator[str]:
    """Yield where a tool's group may be: below our own, and under version 2 beside it, too.

    There a group that has processes may not hand controllers to groups below it, and ours has us.
    """
    yield tree.own
    if tree.version == 2 and tree.own != tree.mount:
        yield os.path.dirname(tree.own)


def _choose(trees: Mapping[str, Hierarchy]) -> tuple[dict[str, str], dict[str, str]]:
    """Return for each controller the group to make one below, or why there is none."""
    chosen = {key: tree.own for key, tree in trees.items() if tree.version == 1}
    second = [key for key, tree in trees.items() if tree.version == 2]
    if not second:
        return chosen, {}
    # a process is in one group of version 2 alone: take the place that has the most
    best: tuple[dict[str, str], dict[str, str]] = {}, {}
    for base in _bases(trees[second[0]]):
        had, problems = {}, {}
        for key in second:
            try:
                hand_down(base, key)
                had[key] = base
            except OSError as error:
                problems[key] = _why(error)
        if not problems or len(had) > len(best[0]) or not best[1]:
            best = had, problems
        if not problems:
            break
    return chosen | best[0], best[1]


def _gather(
    places: Iterable[str], prefix: str, dead_beside: Mapping[str, str] | None = None, most: int | None = None
) -> list[Group]:
    """Return the groups in ``places`` by their names, of dead workers alone if labels of a living one are given."""
    found: dict[str, list[str]] = defaultdict(list)
    for place in places:
        with contextlib.suppress(OSError):
            for entry in os.listdir(place):
                if entry.startswith(prefix) and (dead_beside is None or _is_dead(entry, dead_beside)):
                    found[entry].append(f"{place}/{entry}")
    return [Group({path: path for path in paths}) for paths in list(found.values())[:most]]


def _is_dead(entry: str, labels: Mapping[str, str]) -> bool:
    owner = ":".join(entry.split(".")[2:5])
    return is_dead({**labels, OWNER: owner}) is True


def _digest(name: str) -> str:
    return PREFIX + hashlib.sha256(name.encode()).hexdigest()[:16]


def _owner() -> str:
    return owner_labels()[OWNER].replace(":", ".")


def _why(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
