"""What becomes of the steps of a run, or of one of its parts, that is ended before they have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from celeriac.graph.model import Process
from celeriac.graph.paths import join
from celeriac.journal.tables import Record
from celeriac.notify.changes import StepChange, Task
from celeriac.scheduler.readiness import DONE, blocked
from celeriac.states import NODE_ENDED, AttemptState, NodeState


def cut_short(graph: Process, rows: Sequence[Record], at: str = "") -> list[StepChange]:
    """Return what is told of the steps below the node ``at`` (of all the run's, if it is empty) when it is ended.

    ``rows`` are its nodes as :func:`celeriac.journal.notices.parts` gives them, before they are ended. What was told
    to run has failed; what needs a step that failed will not run; what waited has nothing told of it.
    """
    inside = [row for row in rows if not at or row.path == at or row.path.startswith(f"{at}/")]
    below = [row for row in inside if not at or row.path != at]
    known = {row.path for row in inside}
    states = {row.path: NodeState(row.state) for row in inside if not _has_waited(row)}
    found = [StepChange(row.path, Task.FAILED) for row in below if _has_begun(row)]
    for row in inside:
        if row.kind == "workflow":
            found += [StepChange(path, Task.UPSTREAM_FAILED) for path in _never(graph, row.path, states, known)]
    return found


def _has_begun(row: Record) -> bool:
    """Whether listeners were told that a node is under way, and not yet that it has ended."""
    if row.kind != "job":
        return bool(row.path and row.state == NodeState.RUNNING)
    taken_back = row.state == NodeState.CANCELED and row.attempt_state == AttemptState.CANCELED
    if row.state in NODE_ENDED and not taken_back:
        return False
    return row.attempt_state in (AttemptState.RUNNING, AttemptState.REPORTED) or (row.number or 0) > 1


def _has_waited(row: Record) -> bool:
    """Whether a step has not begun: nothing was told of it, and nothing is of those that need it."""
    if row.kind != "job" or row.attempt_state is None:
        return row.state in (NodeState.READY, NodeState.PENDING)
    return row.attempt_state in (AttemptState.QUEUED, AttemptState.CANCELED) and row.number == 1


def _never(
    graph: Process, scope: str, states: Mapping[str, NodeState], known: Collection[str]
) -> Iterator[str]:
    """Yield the steps of a workflow that have no node, since a step that they need did not end well."""
    steps = graph.at(scope).steps or {}
    bad = [name for name in steps if states.get(join(scope, name), NodeState.SUCCESS) not in DONE]
    yield from (path for name in blocked(steps, bad) if (path := join(scope, name)) not in known)
