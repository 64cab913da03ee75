"""Attempts in the journal that nobody has claimed yet: offered, due after a pause, or with a lost message."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select, update

from celeriac.journal.database import now
from celeriac.journal.tables import IN_NODE, Record, attempts, nodes, runs
from celeriac.states import AttemptState, NodeState, RunState

#: Leases after which a message that may be lost is sent again at the latest, however long it has waited.
LONGEST = 10

_OFFER = (
    select(
        attempts.c.id, attempts.c.run_id, attempts.c.path, attempts.c.granted, attempts.c.batch,
        runs.c.name, runs.c.options,
    )
    .select_from(IN_NODE)
    .where(
        attempts.c.id.in_(bindparam("ids", expanding=True)),
        attempts.c.state == AttemptState.QUEUED,
        attempts.c.due.is_(None),
        runs.c.state == RunState.RUNNING,
        nodes.c.state == NodeState.QUEUED,
    )
)  # fmt: skip


def offer(connection: Connection, ids: Sequence[str]) -> list[Record]:
    """Return what those attempts need that can be claimed and whose run is not being stopped, in their order."""
    found = {row.id: row for row in connection.execute(_OFFER, {"ids": ids})}
    return [found[attempt] for attempt in ids if attempt in found]


_DUE = select(attempts.c.run_id).where(attempts.c.due <= now(), attempts.c.state == AttemptState.QUEUED).distinct()


def due_runs(connection: Connection) -> list[str]:
    """Return the runs with attempts whose pause is over."""
    return list(connection.execute(_DUE).scalars())


def take_due(connection: Connection, run: str) -> Sequence[Record]:
    """Let those attempts go whose pause is over; return them."""
    statement = (
        update(attempts)
        .where(attempts.c.run_id == run, attempts.c.due <= now(), attempts.c.state == AttemptState.QUEUED)
        .values(due=None)
        .returning(attempts.c.id, attempts.c.path, attempts.c.queue, attempts.c.lane)
    )
    return connection.execute(statement).all()


def unclaimed_one(connection: Connection, attempt: str) -> Record | None:
    """Return what an attempt's message is made of, if nobody has claimed it."""
    columns = (attempts.c.id, attempts.c.run_id, attempts.c.path, attempts.c.queue, attempts.c.lane)
    statement = select(*columns).where(attempts.c.id == attempt, attempts.c.state == AttemptState.QUEUED)
    return connection.execute(statement).first()


def hold(connection: Connection, ids: Iterable[str], owner: str, lease: float) -> None:
    """Note that a worker has the message of these attempts in hand, and claims them as soon as it can."""
    statement = update(attempts).where(attempts.c.id.in_(list(ids)), attempts.c.state == AttemptState.QUEUED)
    connection.execute(statement.values(owner=owner, lease=now() + lease))


def late_queues(connection: Connection, run: str, older: float) -> list[str]:
    """Return the queues on which attempts of a run have waited for ``older`` seconds."""
    statement = select(attempts.c.queue).where(*_waiting(run), attempts.c.created < now() - older).distinct()
    return list(connection.execute(statement).scalars())


def unclaimed(
    connection: Connection, run: str, older: float | None, limit: int, empty: Collection[str] = ()
) -> Sequence[Record]:
    """Return attempts that nobody claimed for ``older`` seconds: their message may be lost. None: it is.

    Each is due again after as long as it has waited till now, at most :data:`LONGEST` times ``older``: most wait
    in a long queue, and copies of their messages would make it longer. Before a claim the lease says when that
    is. On ``empty`` queues nothing waits: there each is due that no worker has in hand (:func:`hold`).
    """
    late = select(attempts.c.id).where(*_waiting(run))
    if older is not None:
        over = func.coalesce(attempts.c.lease, 0.0) < now()
        lost = attempts.c.queue.in_(list(empty)) & attempts.c.owner.is_(None)
        late = late.where(attempts.c.created < now() - older, over | lost)
    pause: Any = now() - attempts.c.created
    if older is not None:
        pause = case((pause < LONGEST * older, pause), else_=LONGEST * older)
    late = late.order_by(attempts.c.created).limit(limit)
    statement = (
        update(attempts)
        .where(attempts.c.id.in_(late), attempts.c.state == AttemptState.QUEUED)
        .values(owner=None, lease=now() + pause)
        .returning(attempts.c.id, attempts.c.path, attempts.c.queue, attempts.c.lane)
    )
    return connection.execute(statement).all()


def _waiting(run: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for a run's attempts whose message is out."""
    return attempts.c.run_id == run, attempts.c.state == AttemptState.QUEUED, attempts.c.due.is_(None)
