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
    depths: dict[str, int] = {}
    left = dict(steps)
    while ready := [name for name, step in left.items() if all(need in depths for need in step.requires)]:
        for name in ready:
            depths[name] = max((depths[need] + 1 for need in left.pop(name).requires), default=0)
    return depths
