"""How much of a run is done, from 0 to 1. Pure.

Each step of a workflow weighs the same; a subworkflow is done as far as its steps are, a scatter as far as its
items are. What a step or an item weighs does not depend on what is known by then, and what has ended stays so:
the number never goes down while a run goes on, also when a scatter turns out to be wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from celeriac.graph.model import Process, Step
from celeriac.graph.paths import join
from celeriac.states import NodeState

_DONE = frozenset({NodeState.SUCCESS, NodeState.SKIPPED})


@dataclass(frozen=True)
class Part:
    """A node that listeners are told of."""

    kind: str  # job, workflow, scatter
    state: NodeState
    remaining: int = 0  # of a scatter: items that have not ended
    width: int = 0  # of a scatter: its items


def done(process: Process, parts: Mapping[str, Part], path: str = "") -> float:
    """Return the part of the process at ``path`` that is done."""
    own = parts.get(path)
    if own is not None and own.state in _DONE:
        return 1.0
    if not process.steps:
        return 0.0
    return sum(_step(step, parts, join(path, step.name)) for step in process.steps.values()) / len(process.steps)


def _step(step: Step, parts: Mapping[str, Part], path: str) -> float:
    part = parts.get(path)
    if part is None:
        return 0.0
    if part.state in _DONE:
        return 1.0
    if part.kind == "scatter":
        return (part.width - part.remaining) / part.width if part.width else 0.0
    return done(step.process, parts, path) if part.kind == "workflow" else 0.0
