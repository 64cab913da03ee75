"""What listeners are to be told. A *line* is what one listener is told of one run: delivered in the order of ids.

Only the head of a line, its oldest notice that is not given up, can be claimed. A claim puts off the next try
till the claimer is surely through, so whoever claims has the line for himself; one that dies loses it by then.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, bindparam, delete, func, insert, select, update

from celeriac.journal.database import now
from celeriac.journal.runs import kept_by
from celeriac.journal.tables import Record, attempts, nodes, notices, runs

#: Runs that are looked at together, at most.
_PORTION = 64
#: Notices that one statement names, at most.
_MANY = 500
#: Characters of an error that are kept.
_REASON = 1000

_RUN: ColumnElement[bool] = notices.c.run_id == bindparam("run")
_ALIVE: ColumnElement[bool] = notices.c.dead.is_(False)
_OLDER = notices.alias("older")


def add(
    connection: Connection, run: str, rows: Sequence[tuple[str, str, dict[str, Any]]], *, signed: bool = False
) -> None:
    """Add notices (route, target, payload), to be delivered in this order, and signed if they are to be."""
    if rows:
        own = {"run_id": run, "signed": signed}
        values = [
            {"route": route, "target": target, "payload": payload, "key": str(uuid.uuid4()), **own}
            for route, target, payload in rows
        ]
        connection.execute(_ADD, values)


_ADD = insert(notices).values(tries=0, dead=False, due=now(), created=now())


def due_runs(connection: Connection, keeper: str | None, *, listener: bool) -> list[str]:
    """Return runs whose lines have a head that is to be tried now; not all, where there are many.

    Those that ``keeper`` looks after, of all where it is None. ``listener``: the one of the settings is known here.
    """
    statement = _DUE if listener else _DUE.where(notices.c.target != "")
    if keeper is not None:
        statement = statement.where(notices.c.run_id.in_(select(runs.c.id).where(kept_by(keeper))))
    return list(dict.fromkeys(connection.execute(statement).scalars()))


_DUE = (
    select(notices.c.run_id)
    .where(
        _ALIVE,
        notices.c.due <= now(),
        ~select(_OLDER.c.id)
        .where(
            _OLDER.c.run_id == notices.c.run_id,
            _OLDER.c.target == notices.c.target,
            _OLDER.c.dead.is_(False),
            _OLDER.c.id < notices.c.id,
        )
        .exists(),
    )
    .order_by(notices.c.due)
    .limit(_PORTION)
)


def targets(connection: Connection, run: str) -> list[str]:
    """Return the listeners that a run's notices wait for."""
    return list(connection.execute(_TARGETS, {"run": run}).scalars())


_TARGETS = select(notices.c.target).distinct().where(_RUN, _ALIVE).order_by(notices.c.target)


def claim(connection: Connection, run: str, target: str, seconds: float) -> Record | None:
    """Take the head of a line for so long, and count the try; None when it is not its time, or another has it."""
    return connection.execute(_CLAIM, {"run": run, "to": target, "seconds": seconds}).first()


_CLAIM = (
    update(notices)
    .where(
        notices.c.id
        == select(func.min(_OLDER.c.id))
        .where(_OLDER.c.run_id == bindparam("run"), _OLDER.c.target == bindparam("to"), _OLDER.c.dead.is_(False))
        .scalar_subquery(),
        _ALIVE,
        notices.c.due <= now(),
    )
    .values(due=now() + bindparam("seconds", type_=Float), tries=notices.c.tries + 1, error=None)
    .returning(
        notices.c.id, notices.c.run_id, notices.c.route, notices.c.target, notices.c.payload, notices.c.signed,
        notices.c.key, notices.c.tries,
    )
)  # fmt: skip


def delivered(connection: Connection, notice: int) -> None:
    """Forget a notice that has arrived."""
    connection.execute(delete(notices).where(notices.c.id == notice))


def forget(connection: Connection, which: Sequence[int]) -> None:
    """Forget notices that nobody is to be told any more."""
    for start in range(0, len(which), _MANY):
        connection.execute(delete(notices).where(notices.c.id.in_(which[start : start + _MANY])))


def failed(connection: Connection, claimed: Record, pause: float, error: str) -> None:
    """Put off a line whose head did not arrive."""
    own = (notices.c.id == claimed.id) & (notices.c.tries == claimed.tries)  # else another has claimed it since
    done = connection.execute(update(notices).where(own, _ALIVE).values(due=now() + pause, error=error[:_REASON]))
    if done.rowcount:
        line = (notices.c.run_id == claimed.run_id) & (notices.c.target == claimed.target)
        _put_off(connection, line & (notices.c.id > claimed.id), pause, error)


def away(connection: Connection, claimed: Record, pause: float, error: str) -> None:
    """Put off all that waits for a listener that did not answer: also what is to be told of other runs."""
    failed(connection, claimed, pause, error)
    _put_off(connection, (notices.c.target == claimed.target) & (notices.c.id != claimed.id), pause, error)


def _put_off(connection: Connection, which: ColumnElement[bool], pause: float, error: str) -> None:
    """Put off what is due, so that nobody looks at it before; what another has claimed is not.

    What another transaction holds is passed over, since that one puts it off: two that waited for each other's
    would end in a deadlock.
    """
    free = select(notices.c.id).where(which, _ALIVE, notices.c.due <= now()).with_for_update(skip_locked=True)
    statement = update(notices).where(notices.c.id.in_(free))
    connection.execute(statement.values(due=now() + pause, error=error[:_REASON]))


def bury(connection: Connection, claimed: Record, error: str, *, line: bool) -> None:
    """Give up a notice; with ``line`` all that waits behind it, too."""
    which = notices.c.id == claimed.id
    if line:
        which = (notices.c.run_id == claimed.run_id) & (notices.c.target == claimed.target) & _ALIVE
    connection.execute(update(notices).where(which).values(dead=True, error=error[:_REASON]))


def revive(connection: Connection, *, of: Sequence[str] = (), dead: bool = False) -> list[str]:
    """Have what did not arrive tried again now, as if it were new; return its runs.

    Of all runs unless some are named; with ``dead`` only what was given up. What another process is about to
    deliver is left to it.
    """
    which = notices.c.dead.is_(True) if dead else (notices.c.dead.is_(True) | notices.c.error.is_not(None))
    if of:
        which &= notices.c.run_id.in_(list(of))
    found = list(connection.execute(select(notices.c.run_id).where(which).group_by(notices.c.run_id)).scalars())
    connection.execute(update(notices).where(which).values(dead=False, tries=0, due=now(), error=None))
    return found


def listing(connection: Connection, *, of: Iterable[str] | None = None, dead: bool = False) -> Sequence[Record]:
    """Return what has not arrived, in its order and without the payloads, with the seconds till the next try."""
    columns = [column for column in notices.c if column.name != "payload"]
    statement = select(*columns, (notices.c.due - now()).label("pause")).order_by(notices.c.id)
    if of is not None:
        statement = statement.where(notices.c.run_id.in_(list(of)))
    if dead:
        statement = statement.where(notices.c.dead.is_(True))
    return connection.execute(statement).all()


# --- what they tell of ---------------------------------------------------------------------------


def about(connection: Connection, run: str) -> Record:
    """Return what notices say of a run, without its inputs and outputs, which may be large."""
    return connection.execute(_ABOUT, {"run": run}).one()


_ABOUT = select(
    runs.c.id, runs.c.name, runs.c.workflow, runs.c.request["run_id"].as_string().label("run_id"), runs.c.document,
    runs.c.options, runs.c.state, runs.c.error, runs.c.created, runs.c.started, runs.c.ended,
).where(runs.c.id == bindparam("run"))  # fmt: skip


def parts(connection: Connection, run: str) -> list[Record]:
    """Return a run's nodes except items of scatters and what is in them, with their current attempts."""
    found: list[Record] = list(connection.execute(_PARTS.where(nodes.c.parent.is_(None)), {"run": run}))
    scopes = [row.path for row in found if row.kind == "workflow"]
    while scopes:
        level = connection.execute(_PARTS.where(nodes.c.parent.in_(scopes)), {"run": run}).all()
        found += level
        scopes = [row.path for row in level if row.kind == "workflow"]
    return found


_PARTS = (
    select(
        nodes.c.path, nodes.c.kind, nodes.c.state, nodes.c.remaining, nodes.c.created, nodes.c.ended,
        attempts.c.id.label("attempt"), attempts.c.number, attempts.c.state.label("attempt_state"),
        attempts.c.exit_code, attempts.c.started, attempts.c.directory, attempts.c.error,
    )
    .select_from(nodes.outerjoin(attempts, attempts.c.id == nodes.c.attempt))
    .where(nodes.c.run_id == bindparam("run"))
    .order_by(nodes.c.created, nodes.c.path)
)  # fmt: skip


def traces(connection: Connection, run: str, paths: Sequence[str]) -> Sequence[Record]:
    """Return some nodes as :func:`parts` does."""
    return connection.execute(_PARTS.where(nodes.c.path.in_(list(paths))), {"run": run}).all()
