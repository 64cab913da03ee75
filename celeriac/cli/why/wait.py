"""What a step waits for: other steps, its turn in a scatter, or a worker of its queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celeriac.cli.look import between, duration, iso, when
from celeriac.cli.queues.hosts import Site
from celeriac.cli.why.find import Found, needs
from celeriac.errors import from_dict
from celeriac.graph.model import Process
from celeriac.states import RUN_ENDED, NodeState, RunState

#: Workers that are named.
NAMED = 5


def in_queue(row: Any, site: Site, waiting: int, embedded: bool) -> dict[str, Any]:
    """Return what is to be said of an attempt that nobody has claimed."""
    workers = site.workers(row.queue)
    running = site.running.get(row.queue, 0)
    since = f"since {when(row.created)} ({duration(between(row.created, site.now))})"
    many = "it alone waits there" if waiting <= 1 else f"{waiting} steps wait there"
    now = f"{running or 'none'} {'run' if running > 1 else 'runs'} now"
    text = f"it waits {since} in queue {row.queue}: {many}, {now}; "
    if workers:
        slots = sum(worker.slots for worker in workers)
        names = ", ".join(worker.name for worker in workers[:NAMED])
        more = f" and {len(workers) - NAMED} more" if len(workers) > NAMED else ""
        verb = "worker serves" if len(workers) == 1 else "workers serve"
        text += f"{len(workers)} {verb} it, {slots} {'step' if slots == 1 else 'steps'} at once: {names}{more}"
    elif embedded:
        text += (
            "no worker has told this journal that it serves it: a `celeriac run` runs its steps itself, "
            "once its host has room for them"
        )
    else:
        text += f"no worker serves queue {row.queue}: start one with `celery worker -Q {row.queue}`"
    return {
        "queue": row.queue,
        "since": iso(row.created),
        "seconds": round(between(row.created, site.now) or 0.0, 3),
        "waiting": waiting,
        "running": running,
        "workers": [worker.name for worker in workers],
        "text": text,
    }


def before(connection: Any, run: Any, graph: Process, found: Found) -> str:
    """Say why a step has no attempt: it has not got that far, or it never will."""
    if found.node is None:
        return _not_there(run, found)
    state, path = NodeState(found.node.state), found.node.path
    if state is NodeState.SKIPPED:
        return f"it was skipped: its `when` was false ({_when(graph, found.address)})"
    if state is NodeState.UPSTREAM_FAILED:
        missing = _needs(connection, run.id, graph, path, found.address)
        return f"it can't run: it needs {_named(missing)}"
    if state is NodeState.CANCELED:
        return "it was cancelled before its turn"
    if state is NodeState.FAILED:
        error = from_dict(found.node.error) if found.node.error else None
        return f"it failed before it could be queued: {error}" if error else "a part of it failed"
    if state is NodeState.PENDING:
        return "its turn has not come: a scatter has so many of its items under way at once (scatter_window)"
    if state is NodeState.READY:
        return "its inputs are there: its expressions are evaluated next"
    return "it has no items: it is a scatter over nothing" if found.node.kind == "scatter" else f"it is {state}"


def _not_there(run: Any, found: Found) -> str:
    waits = found.waits
    assert waits is not None
    if run.state == RunState.PENDING:
        return "no worker has begun with the run: `celery worker` starts one"
    if run.state in RUN_ENDED or run.stopping:
        return f"its turn never came: the run {f'is {run.state}' if run.state in RUN_ENDED else 'is being stopped'}"
    inside = f"it is inside {waits.part}, which" if waits.part != found.address else "it"
    return f"{inside} waits for {_named(waits.needs)}" if waits.needs else f"{inside} is about to begin"


def _needs(connection: Any, run: str, graph: Process, path: str, address: str) -> dict[str, str | None]:
    scope, _, name = address.rpartition("/")
    steps = graph.at(scope).steps
    assert steps is not None
    return needs(connection, run, path.rpartition("/")[0], steps[name])


def _when(graph: Process, address: str) -> str:
    scope, _, name = address.rpartition("/")
    steps = graph.at(scope).steps or {}
    return " ".join(str(steps[name].when).split()) if name in steps else ""


def _named(steps: dict[str, str | None] | Any) -> str:
    parts: Sequence[str] = [f"{path} ({state or 'not begun'})" for path, state in steps.items()]
    return " and ".join(parts) or "a step that failed"
