"""Workflows, runs and orders to stop them, as Airflow's clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from celeriac.api.auth import Caller
from celeriac.api.dags import named, names, states
from celeriac.api.service import Service
from celeriac.api.wes.submit import document
from celeriac.document.outside import Outside
from celeriac.errors import CeleriacError
from celeriac.graph.model import Process
from celeriac.journal import notices, runs, stops, views
from celeriac.journal.tables import Record
from celeriac.notify.changes import dag_id
from celeriac.notify.progress import Part, done
from celeriac.states import NodeState, RunState

MOST = 1000
#: Seconds that a time which was written may differ by from the one in the journal.
_ROUNDED = 1e-3


@dataclass(frozen=True)
class Asked:
    """Which runs are asked for; None: any."""

    workflow: str | None = None
    run: str | None = None
    date: str | None = None  # execution_date, as it was told
    state: str | None = None


def steps(service: Service, name: str) -> list[str]:
    """Return the steps of a workflow; none where it can't be loaded, or is a tool."""
    place = document(service.workflows, name)
    if place is None:
        return []
    try:
        stat = place.stat()
        stamp = (place, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        known = service.steps.get(name)
        if known is None or known[0] != stamp:
            graph = service.engine.documents.load(str(place), outside=Outside(service.access(""))).graph
            known = service.steps[name] = (stamp, list(graph.steps or {}))
    except (CeleriacError, OSError):
        return []
    return known[1]


def new(service: Service, run: str) -> dict[str, Any]:
    """Return what is answered to whoever started a run."""
    with service.engine.database.read() as connection:
        row = runs.seen(connection, run)
    assert row is not None
    return _head(row) | {"message": f"Created {_name(row)} {_run_id(row)}"}


def runs_of(service: Service, caller: Caller, asked: Asked) -> list[dict[str, Any]]:
    """Return runs of a caller's, newest first."""
    with service.engine.database.read() as connection:
        find = _listed if asked.run is None else _named
        return [_whole(service, connection, row) for row in find(connection, caller, asked)]


def _listed(connection: Connection, caller: Caller, asked: Asked) -> list[Record]:
    words = states.of_words(asked.state) if asked.state else None
    between = None
    if asked.date is not None:
        time = states.instant(asked.date)
        if time is None:
            return []
        between = time - _ROUNDED, time + _ROUNDED
    rows = runs.of_workflow(
        connection, MOST, caller=caller.sees, workflow=asked.workflow, states=words, between=between
    )
    return [row for row in rows if asked.date in (None, states.moment(row.created))]


def _named(connection: Connection, caller: Caller, asked: Asked) -> list[Record]:
    """Return the runs of one name. Clients ask again and again: what other runs there are costs them nothing."""
    workflows = runs.workflows(connection) if asked.workflow is None else [asked.workflow]
    return [
        row
        for row in named.find(connection, asked.run or "", workflows)
        if caller.sees in (None, row.caller)
        and asked.date in (None, states.moment(row.created))
        and asked.state in (None, states.run_state(row.state))
    ]


def stops_of(service: Service, caller: Caller, run: str | None) -> list[dict[str, Any]]:
    """Return a caller's orders to stop runs, newest first."""
    with service.engine.database.read() as connection:
        now = views.clock(connection)
        rows = stops.recent(connection, MOST, caller.sees, run)
    found = []
    for row in rows:
        state = states.stop_state(row.created, row.target, row.ended, now)
        date = states.moment(row.created)
        tasks = [{"id": names.STOP, "state": state}]
        known = {"dag_id": names.STOP, "run_id": row.run_id, "execution_date": date, "start_date": date, "state": state}
        found.append(known | {"tasks": tasks, "progress": 100 if state == "success" else 0})
    return found


def _whole(service: Service, connection: Connection, row: Record) -> dict[str, Any]:
    parts = notices.parts(connection, row.id)
    graph = service.engine.document(row.document).graph
    tasks = [
        {"id": part.path or _name(row), "state": _task_state(part)}
        for part in parts
        if part.path or graph.steps is None
    ]
    return _head(row) | {"tasks": tasks, "progress": _progress(connection, row, graph, parts)}


def _task_state(part: Record) -> str:
    running = part.state == NodeState.QUEUED and part.attempt_state == "RUNNING"
    return states.step_state([NodeState.RUNNING if running else part.state])


def _progress(connection: Connection, row: Record, graph: Process, parts: Sequence[Record]) -> int:
    if row.state == RunState.SUCCESS:
        return 100
    known = {}
    for part in parts:
        open_ = part.kind == "scatter" and part.remaining is not None and part.state != NodeState.SUCCESS
        width = views.items(connection, row.id, part.path) if open_ else 0
        known[part.path] = Part(part.kind, NodeState(part.state), part.remaining or 0, width)
    return min(99, int(100 * done(graph, known) + 1e-9))


def _head(row: Record) -> dict[str, Any]:
    return {
        "dag_id": _name(row),
        "run_id": _run_id(row),
        "execution_date": states.moment(row.created),
        "start_date": states.moment(row.started or row.created),
        "state": states.run_state(row.state),
    }


def _name(row: Record) -> str:
    return dag_id(row.workflow, row.name)


def _run_id(row: Record) -> str:
    return str((row.request or {}).get("run_id") or row.id)
