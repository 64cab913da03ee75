"""Attempts in the journal that nobody has claimed yet: offered, due after a pause, or with a lost message."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select, update

from celeriac.journal.database import now
from celeriac.journal.tables import IN_NODE, Record, attempts, nodes, runs
from celeriac.states import AttemptState, NodeState, RunState

_OFFER = (
    select(attempts.c.run_id, attempts.c.path, attempts.c.granted, runs.c.name, runs.c.options)
    .select_from(IN_NODE)
    .where(
        attempts.c.id == bindparam("attempt"),
        attempts.c.state == AttemptState.QUEUED,
        attempts.c.due.is_(None),
        runs.c.state == RunState.RUNNING,
        nodes.c.state == NodeState.QUEUED,
    )
)


def offer(connection: Connection, attempt: str) -> Record | None:
    """Return what an attempt needs that can be claimed; None when it can't be, or its run is being stopped."""
    return connection.execute(_OFFER, {"attempt": attempt}).first()


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


def unclaimed(connection: Connection, run: str, older: float | None, limit: int) -> Sequence[Record]:
    """Return attempts that nobody claimed for ``older`` seconds: their message may be lost. None: it is.

    Each is due again after as long as it has waited till now: most wait in a long queue, and copies
    of their messages would make it longer. Before a claim the lease says when that is.
    """
    late = select(attempts.c.id).where(
        attempts.c.run_id == run, attempts.c.state == AttemptState.QUEUED, attempts.c.due.is_(None)
    )
    if older is not None:
        late = late.where(attempts.c.created < now() - older, func.coalesce(attempts.c.lease, 0.0) < now())
    late = late.order_by(attempts.c.created).limit(limit)
    statement = (
        update(attempts)
        .where(attempts.c.id.in_(late), attempts.c.state == AttemptState.QUEUED)
        .values(lease=2 * now() - attempts.c.created)
        .returning(attempts.c.id, attempts.c.path, attempts.c.queue, attempts.c.lane)
    )
    return connection.execute(statement).all()
