"""Which steps' outputs nobody will read any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from celeriac.graph.model import Process
from celeriac.scheduler.readiness import DONE
from celeriac.states import NodeState


def unread(process: Process, states: Mapping[str, NodeState]) -> set[str]:
    """Return the steps of a workflow that ended well and whose every reader in it did, by name.

    A step that gives an output of the workflow is read by whoever reads the workflow: it is none of them.
    """
    steps = process.steps or {}
    given = {source.partition("/")[0] for port in process.outputs for source in port.sources or () if "/" in source}
    needed = set(given)
    for name, step in steps.items():
        if states.get(name) not in DONE:
            needed |= step.requires
    return {name for name in steps if states.get(name) is NodeState.SUCCESS and name not in needed}


def newly(process: Process, states: Mapping[str, NodeState], ended: Iterable[str]) -> set[str]:
    """Return those of :func:`unread` that may be so since the steps ``ended`` did."""
    names = set(ended)
    steps = process.steps or {}
    return unread(process, states) & names.union(*(steps[name].requires for name in names if name in steps))
