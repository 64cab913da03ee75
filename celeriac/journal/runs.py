"""Runs and their documents in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, or_, select, update

from celeriac.journal.database import now
from celeriac.journal.tables import Record, attempts, documents, nodes, runs
from celeriac.journal.upsert import insert_new, upsert
from celeriac.states import ATTEMPT_ENDED, RUN_ENDED, RUN_MOVES, RunState, move


def put_document(connection: Connection, name: str, body: str) -> None:
    """Keep a document's snapshot under its hash; it may be there already."""
    values = {"hash": name, "body": body, "created": now()}
    connection.execute(upsert(connection, documents).values(values).on_conflict_do_nothing())


def document(connection: Connection, name: str) -> str:
    """Return a document's snapshot."""
    return str(connection.execute(select(documents.c.body).where(documents.c.hash == name)).scalar_one())


def add(connection: Connection, **values: Any) -> bool:
    """Add a run in state PENDING; False when there is one of that id."""
    return insert_new(connection, runs, state=RunState.PENDING, stopping=False, created=now(), **values)


def get(connection: Connection, run: str) -> Record | None:
    """Return a run, or None."""
    return connection.execute(select(runs).where(runs.c.id == run)).first()


def inputs(connection: Connection, run: str) -> dict[str, Any]:
    """Return the inputs that a run was submitted with."""
    return dict(connection.execute(select(runs.c.inputs).where(runs.c.id == run)).scalar_one() or {})


def result(connection: Connection, run: str) -> Record | None:
    """Return what a run gave, without its inputs."""
    statement = select(runs.c.id, runs.c.name, runs.c.state, runs.c.options, runs.c.outputs, runs.c.error)
    return connection.execute(statement.where(runs.c.id == run)).first()


def find(connection: Connection, prefix: str) -> list[str]:
    """Return the ids that start with ``prefix``, two at most."""
    statement = select(runs.c.id).where(runs.c.id.startswith(prefix, autoescape=True)).limit(2)
    return list(connection.execute(statement).scalars())


_LOCK = select(
    runs.c.id,
    runs.c.name,
    runs.c.document,
    runs.c.state,
    runs.c.options,
    runs.c.queues,
    runs.c.stopping,
    runs.c.error,
    runs.c.reply,
    runs.c.opened,
    runs.c.keeper,
)


_SHORT = _LOCK.where(runs.c.id == bindparam("run"))
_HOLD = _SHORT.with_for_update()


def short(connection: Connection, run: str) -> Record | None:
    """Return a run's short row: without its inputs and outputs, which may be large."""
    return connection.execute(_SHORT, {"run": run}).first()


def lock(connection: Connection, run: str) -> Record | None:
    """Return a run's short row and hold it: one scheduler a run at a time."""
    return connection.execute(_HOLD, {"run": run}).first()


def change(connection: Connection, run: str, old: RunState, new: RunState, **values: Any) -> None:
    """Move a run to another state; raises :class:`~celeriac.states.IllegalMove`."""
    move(RUN_MOVES, RunState(old), new)
    times: dict[str, Any] = {}
    if new is RunState.RUNNING:
        times["started"] = now()
    if new in RUN_ENDED:
        times["ended"] = now()
    connection.execute(update(runs).where(runs.c.id == run).values(state=new, **times, **values))


def note_end(connection: Connection, run: str, **values: Any) -> None:
    """Note the time of a run that has ended, and ``values``."""
    connection.execute(update(runs).where(runs.c.id == run).values(ended=now(), **values))


def reopen(connection: Connection, run: str, old: RunState, **values: Any) -> None:
    """Open an ended run again."""
    move(RUN_MOVES, old, RunState.RUNNING)
    new = {"outputs": None, "error": None, "reply": None, "ended": None, "stopping": False, "opened": now()}
    connection.execute(update(runs).where(runs.c.id == run).values(state=RunState.RUNNING, **new, **values))


def put(connection: Connection, run: str, **values: Any) -> None:
    """Set fields that are no state."""
    connection.execute(update(runs).where(runs.c.id == run).values(**values))


def recent(connection: Connection, limit: int, state: str | None = None) -> Sequence[Record]:
    """Return the newest runs, newest first."""
    statement = select(
        runs.c.id, runs.c.name, runs.c.state, runs.c.created, runs.c.started, runs.c.ended, runs.c.error, runs.c.keeper
    )
    if state:
        statement = statement.where(runs.c.state == state)
    return connection.execute(statement.order_by(runs.c.created.desc()).limit(limit)).all()


_PAGE = (
    runs.c.id, runs.c.name, runs.c.state, runs.c.created, runs.c.started, runs.c.ended, runs.c.error, runs.c.keeper,
    runs.c.caller, runs.c.workflow, runs.c.request,
)  # fmt: skip


def page(
    connection: Connection, limit: int, *, caller: str | None = None, after: tuple[float, str] | None = None
) -> Sequence[Record]:
    """Return runs, newest first, of a ``caller`` (None: of all), from after a place (created, id) on."""
    statement = select(*_PAGE)
    if caller is not None:
        statement = statement.where(runs.c.caller == caller)
    if after is not None:
        created, name = after
        same = and_(runs.c.created == created, runs.c.id < name)
        statement = statement.where(or_(runs.c.created < created, same))
    return connection.execute(statement.order_by(runs.c.created.desc(), runs.c.id.desc()).limit(limit)).all()


def of_workflow(
    connection: Connection,
    limit: int,
    *,
    caller: str | None = None,
    workflow: str | None = None,
    states: Sequence[RunState] | None = None,
    between: tuple[float, float] | None = None,
) -> Sequence[Record]:
    """Return the runs of a workflow that was asked for by its name (None: of any), newest first.

    ``between``: only those that were created from the first to the second of two times.
    """
    named = runs.c.workflow.is_not(None) if workflow is None else runs.c.workflow == workflow
    statement = select(*_PAGE, runs.c.document).where(named)
    if caller is not None:
        statement = statement.where(runs.c.caller == caller)
    if states is not None:
        statement = statement.where(runs.c.state.in_(list(states)))
    if between is not None:
        statement = statement.where(runs.c.created.between(*between))
    return connection.execute(statement.order_by(runs.c.created.desc(), runs.c.id.desc()).limit(limit)).all()


#: Ids that one statement names, at most.
_MANY = 500
# Built once: the clients of CWL-Airflow ask it each time that they look after a run.
_OF_IDS = select(*_PAGE, runs.c.document).where(runs.c.id.in_(bindparam("ids", expanding=True)))


def of_ids(connection: Connection, ids: Sequence[str]) -> list[Record]:
    """Return the runs with these ids that are there, in no order."""
    found: list[Record] = []
    for start in range(0, len(ids), _MANY):
        found += connection.execute(_OF_IDS, {"ids": list(ids[start : start + _MANY])}).all()
    return found


def workflows(connection: Connection) -> list[str]:
    """Return the names of the workflows that runs were asked for by."""
    return list(connection.execute(_WORKFLOWS).scalars())


def _workflows() -> Select[Any]:
    """Each name is looked up in the index after the one before it: DISTINCT would read all runs' names."""
    names = select(func.min(runs.c.workflow).label("name")).cte("names", recursive=True)
    after = select(func.min(runs.c.workflow)).where(runs.c.workflow > names.c.name).scalar_subquery()
    names = names.union_all(select(after).where(names.c.name.is_not(None)))
    return select(names.c.name).where(names.c.name.is_not(None))


_WORKFLOWS = _workflows()


# Built once: clients that watch runs ask nothing else.
_SEEN = select(*_PAGE, runs.c.options).where(runs.c.id == bindparam("run"))
_SEEN_BY = _SEEN.where(runs.c.caller == bindparam("caller"))


def seen(connection: Connection, run: str, caller: str | None = None) -> Record | None:
    """Return a run of a ``caller`` (None: of anybody) without its inputs and outputs; None: there is none."""
    if caller is None:
        return connection.execute(_SEEN, {"run": run}).first()
    return connection.execute(_SEEN_BY, {"run": run, "caller": caller}).first()


def outputs(connection: Connection, run: str) -> dict[str, Any] | None:
    """Return the outputs of a run; None while it has none."""
    found: dict[str, Any] | None = connection.execute(select(runs.c.outputs).where(runs.c.id == run)).scalar()
    return found


def by_state(connection: Connection, caller: str | None = None) -> Sequence[Record]:
    """Count runs by state, and the failed ones by the type of their error; of a ``caller``, or (None) of all."""
    kind = case((runs.c.state == RunState.FAILED, runs.c.error["type"].as_string())).label("kind")
    found = select(runs.c.state, kind)
    if caller is not None:
        found = found.where(runs.c.caller == caller)
    rows = found.subquery()
    statement = select(rows.c.state, rows.c.kind, func.count().label("number")).group_by(rows.c.state, rows.c.kind)
    return connection.execute(statement).all()


def open_runs(connection: Connection, keeper: str | None = None) -> list[str]:
    """Return the ids of the runs that have not ended and that ``keeper`` looks after; None: the workers."""
    statement = select(runs.c.id).where(runs.c.state.not_in(list(RUN_ENDED)), kept_by(keeper))
    return list(connection.execute(statement).scalars())


def set_by_hand(connection: Connection, keeper: str | None) -> list[str]:
    """Return the ids of the runs whose last state came from outside: who ends a run notes the time."""
    statement = select(runs.c.id).where(runs.c.state.in_(list(RUN_ENDED)), runs.c.ended.is_(None), kept_by(keeper))
    return list(connection.execute(statement).scalars())


def kept_by(keeper: str | None) -> ColumnElement[bool]:
    """Whether ``keeper`` looks after a run; None: the workers."""
    return runs.c.keeper.is_(None) if keeper is None else runs.c.keeper == keeper


def counts(connection: Connection, run: str) -> dict[str, int]:
    """Count a run's jobs by state; a queued one whose tool runs counts as RUNNING."""
    statement = (
        select(nodes.c.state, attempts.c.state, func.count())
        .select_from(nodes.outerjoin(attempts, attempts.c.id == nodes.c.attempt))
        .where(nodes.c.run_id == run, nodes.c.kind == "job")
        .group_by(nodes.c.state, attempts.c.state)
    )
    found: dict[str, int] = {}
    for node, attempt, number in connection.execute(statement):
        running = node == "QUEUED" and attempt not in (None, "QUEUED") and attempt not in ATTEMPT_ENDED
        state = "RUNNING" if running else node
        found[state] = found.get(state, 0) + number
    return found
