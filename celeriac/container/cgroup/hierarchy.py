"""Where the groups of this host are mounted, and which one a process is in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Hierarchy:
    """One tree of groups."""

    version: int
    mount: str  # the directory of the topmost group that can be seen from here
    own: str  # that of the process's group


def hierarchies(proc: str = "/proc", pid: int | str = "self") -> dict[str, Hierarchy]:
    """Return the tree of each controller, such as ``memory``, as a process is in it; empty where there is none.

    A controller is in one tree alone: where both versions are mounted, version 1 has it, or version 2
    lists it.
    """
    mounts = list(_mounts(proc))
    found: dict[str, Hierarchy] = {}
    for names, path in _groups(proc, pid):
        for version, root, mount, options in mounts:
            if version == (1 if names else 2) and names <= options:
                tree = Hierarchy(version, mount, _below(mount, root, path))
                offered = names or set(_words(f"{tree.own}/cgroup.controllers"))
                found.update({name: tree for name in offered if version == 1 or name not in found})
                break
    return found


def _groups(proc: str, pid: int | str) -> Iterator[tuple[set[str], str]]:
    """Yield controllers and path of each line ``N:CONTROLLER,CONTROLLER:PATH``; version 2 names none."""
    for line in _lines(f"{proc}/{pid}/cgroup"):
        _, names, path = line.split(":", 2)
        yield set(names.split(",")) - {""}, path


def _mounts(proc: str) -> Iterator[tuple[int, str, str, set[str]]]:
    """Yield version, root, mount point and options of each tree (proc_pid_mountinfo(5))."""
    for line in _lines(f"{proc}/self/mountinfo"):
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            _, _, _, root, mount, *_ = left.split(" ")
            yield 2 if kind == "cgroup2" else 1, root, mount, set(options.split(","))


def _below(mount: str, root: str, path: str) -> str:
    """Return where a group is seen: a container may see but its own, mounted as if it were the topmost."""
    relative = os.path.relpath(path, root)
    return mount if relative == "." or relative.startswith("..") else f"{mount}/{relative}"


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _words(path: str) -> list[str]:
    return " ".join(_lines(path)).split()
