"""Whether steps of a process can run side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from celeriac.graph.model import Process, Step


def is_wide(process: Process) -> bool:
    """Whether two of its steps may run at the same time: in a chain of single steps none do."""
    steps = process.steps or {}
    if any(step.scatter for step in steps.values()) or max(Counter(_depths(steps).values()).values(), default=0) > 1:
        return True
    return any(is_wide(step.process) for step in steps.values())


def _depths(steps: Mapping[str, Step]) -> dict[str, int]:
    """Return the length of the longest path to each step that is on no cycle."""
    followers: dict[str, list[str]] = {name: [] for name in steps}
    missing: dict[str, int] = {}
    for name, step in steps.items():
        missing[name] = len(step.requires)
        for need in step.requires:
            followers[need].append(name)
    depths = {name: 0 for name, number in missing.items() if not number}
    ready = list(depths)
    for name in ready:  # it grows
        for follower in followers[name]:
            missing[follower] -= 1
            if not missing[follower]:
                depths[follower] = 1 + max(depths[need] for need in steps[follower].requires)
                ready.append(follower)
    return depths
