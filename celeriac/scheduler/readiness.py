"""Which steps of a workflow can start, and which never will."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from celeriac.graph.model import Step
from celeriac.states import NodeState

DONE = frozenset({NodeState.SUCCESS, NodeState.SKIPPED})


def concerned(steps: Mapping[str, Step], finished: Iterable[str]) -> list[str]:
    """Return the steps that need one of ``finished``: those that may have become ready."""
    gone = set(finished)
    return [name for name, step in steps.items() if step.requires & gone]


def ready(steps: Mapping[str, Step], candidates: Iterable[str], states: Mapping[str, NodeState]) -> list[str]:
    """Return those of ``candidates`` that have not started and whose every requirement is done."""
    return [
        name
        for name in candidates
        if name not in states and all(states.get(needed) in DONE for needed in steps[name].requires)
    ]


def blocked(steps: Mapping[str, Step], failed: Iterable[str]) -> list[str]:
    """Return all steps that need one of ``failed``, directly or through others, in document order."""
    gone = set(failed)
    grown = True
    while grown:
        more = {name for name, step in steps.items() if name not in gone and step.requires & gone}
        grown = bool(more)
        gone |= more
    return [name for name in steps if name in gone and name not in set(failed)]
