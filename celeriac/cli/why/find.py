"""Which job `celeriac why` is about, and what a step waits for whose turn has not come."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celeriac.errors import NotFoundError, UsageError
from celeriac.graph.model import Kind, Process, Step
from celeriac.journal import nodes, views
from celeriac.journal.tables import Record
from celeriac.scheduler.readiness import DONE
from celeriac.states import NodeState

#: States of a workflow that is not the thing to explain, but its steps.
_HAS_STEPS = (NodeState.RUNNING, NodeState.SUCCESS, NodeState.FAILED)


@dataclass(frozen=True)
class Found:
    """What a step path stands for in a run."""

    address: str  # the step path, without indexes
    process: Process
    node: Record | None = None  # the job; None: it is not in the journal yet
    queues: Mapping[str | None, int] = field(default_factory=dict)  # of a scatter's jobs, by queue
    waits: Waits | None = None  # for what, while it is not there


@dataclass(frozen=True)
class Waits:
    """The part of a path that is not there yet, and what it needs."""

    part: str  # the first part of the path that has no node
    needs: Mapping[str, str | None]  # path of a step that has not ended well -> its state, None: not begun


def find(connection: Any, run: str, graph: Process, path: str) -> Found:
    """Return what a path such as ``align``, ``align[3]`` or ``sub/sort`` stands for.

    Raises :class:`~celeriac.errors.NotFoundError`, and :class:`~celeriac.errors.UsageError` for a
    workflow, whose steps each have a queue of their own.
    """
    address = "/".join(part.partition("[")[0] for part in path.split("/"))
    process = _process(graph, address, path, run)
    node = nodes.get(connection, run, path)
    if node is not None and node.kind == "job":
        return Found(address, process, node)
    if process.kind is Kind.WORKFLOW and (not path or (node is not None and node.state in _HAS_STEPS)):
        raise _no_job(path, graph, address, process)
    first = views.first_job(connection, run, address) if path == address else None
    if first is not None:
        found = nodes.get(connection, run, first)
        return Found(address, process, found, views.jobs_by_queue(connection, run, address))
    if node is not None:  # a scatter without items, or a workflow without steps
        return Found(address, process, node)
    return Found(address, process, waits=_missing(connection, run, graph, path))


def _process(graph: Process, address: str, path: str, run: str) -> Process:
    process = graph
    for name in address.split("/") if address else ():
        if name not in (process.steps or {}):
            known = [step for step, _ in graph.walk() if step]
            near = difflib.get_close_matches(address, known, 1)
            hint = f"did you mean {near[0]}?" if near else "its steps: " + (", ".join(known) or "none, it is a tool")
            raise NotFoundError(f"run {run} has no step {path!r}", hint=hint, run=run, step=path)
        assert process.steps is not None
        process = process.steps[name].process
    return process


def _no_job(path: str, graph: Process, address: str, process: Process) -> UsageError:
    prefix = f"{address}/" if address else ""
    steps = [step for step, one in process.walk() if step and one.kind is not Kind.WORKFLOW]
    what = f"step {path!r}" if path else "the run itself"
    return UsageError(
        f"{what} is a workflow: each of its steps goes to a queue of its own",
        hint="name one: " + ", ".join(prefix + step for step in steps),
    )


def _missing(connection: Any, run: str, graph: Process, path: str) -> Waits:
    scope, process = "", graph
    for part in path.split("/"):
        name = part.partition("[")[0]
        assert process.steps is not None
        step = process.steps[name]
        here = f"{scope}/{part}" if scope else part
        row = nodes.get(connection, run, here)
        if row is None:
            _check_index(connection, run, scope, part, here)
            base = f"{scope}/{name}" if scope else name
            return Waits(base, needs(connection, run, scope, step))
        inside = "[0]" if row.kind == "scatter" and here != path else ""
        scope, process = here + inside, step.process
    return Waits(path, {})


def _check_index(connection: Any, run: str, scope: str, part: str, here: str) -> None:
    name, bracket, _ = part.partition("[")
    scatter = nodes.get(connection, run, f"{scope}/{name}" if scope else name) if bracket else None
    if scatter is None:
        return
    if scatter.kind != "scatter":
        raise NotFoundError(f"{name!r} is no scatter, so there is no {here!r}", hint=f"name it {name!r}", step=here)
    if scatter.shape is not None:
        last = views.items(connection, run, scatter.path) - 1
        hint = f"its items are {name}[0] to {name}[{last}]" if last >= 0 else "it has no items"
        raise NotFoundError(f"run {run} has no {here!r}", hint=hint, run=run, step=here)


def needs(connection: Any, run: str, scope: str, step: Step) -> dict[str, str | None]:
    """Return the steps whose outputs a step needs and that have not ended well, with their states."""
    paths = [f"{scope}/{name}" if scope else name for name in sorted(step.requires)]
    states = nodes.states(connection, run, paths)
    return {path: states.get(path) for path in paths if states.get(path) not in DONE}
