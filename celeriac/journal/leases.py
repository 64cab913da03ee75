"""Leases in the journal: who runs an attempt, whether it is wanted still, and whose worker is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select, update

from celeriac.journal.database import now
from celeriac.journal.tables import IN_NODE, Record, attempts, nodes, runs
from celeriac.scheduler.retry import Cause
from celeriac.states import ATTEMPT_ENDED, AttemptState, NodeState


def renew(connection: Connection, ids: Iterable[str], owner: str, lease: float) -> None:
    """Renew the leases of those of ``ids`` that ``owner`` runs."""
    statement = update(attempts).where(
        attempts.c.id.in_(list(ids)), attempts.c.owner == owner, attempts.c.state == AttemptState.RUNNING
    )
    connection.execute(statement.values(lease=now() + lease))


def unwanted(connection: Connection, ids: Iterable[str], owner: str) -> dict[str, str]:
    """Return which of ``ids`` should stop, with the reason: cancelled, or no longer this owner's."""
    wanted = list(ids)
    statement = (
        select(attempts.c.id, attempts.c.state, attempts.c.owner, runs.c.state, nodes.c.state)
        .select_from(IN_NODE)
        .where(attempts.c.id.in_(wanted))
    )
    found = {row[0]: row for row in connection.execute(statement)}
    reasons = {}
    for attempt in wanted:
        row = found.get(attempt)
        if row is None or row[1] == AttemptState.CANCELED:
            reasons[attempt] = "it was cancelled"
        elif row[1] != AttemptState.RUNNING or row[2] != owner:
            reasons[attempt] = "its lease ran out and another attempt took over"
        elif row[3] != "RUNNING":
            reasons[attempt] = f"the run is {row[3]}"
        elif row[4] != NodeState.QUEUED:
            reasons[attempt] = f"the step is {row[4]}"
    return reasons


def lost_here(connection: Connection, run: str, path: str, host: str) -> list[str]:
    """Return the attempts at a node whose worker died on a host: something of them may run there still."""
    statement = select(attempts.c.id).where(
        attempts.c.run_id == run, attempts.c.path == path, attempts.c.host == host,
        attempts.c.state == AttemptState.LOST,
    )  # fmt: skip
    return list(connection.execute(statement).scalars())


_LOSE = (
    update(attempts)
    .where(attempts.c.state == AttemptState.RUNNING)
    .values(state=AttemptState.LOST, cause=Cause.LOST, ended=now())
    .returning(
        attempts.c.id, attempts.c.path, attempts.c.number, attempts.c.host, attempts.c.owner, attempts.c.queue,
        attempts.c.asked, attempts.c.granted, attempts.c.tool, attempts.c.lane,
    )
)  # fmt: skip


def expire(connection: Connection, run: str) -> Sequence[Record]:
    """Move attempts whose lease ran out to LOST; return them."""
    return connection.execute(_LOSE.where(attempts.c.run_id == run, attempts.c.lease < now())).all()


def lose(connection: Connection, attempt: str, owner: str) -> Record | None:
    """Move an attempt to LOST whose owner is known to be dead; None when it isn't running, or another's."""
    return connection.execute(_LOSE.where(attempts.c.id == attempt, attempts.c.owner == owner)).first()


def owners(connection: Connection, run: str, host: str) -> Sequence[Record]:
    """Return a run's attempts that run on a host: id and owner."""
    statement = select(attempts.c.id, attempts.c.owner).where(
        attempts.c.run_id == run, attempts.c.state == AttemptState.RUNNING, attempts.c.host == host
    )
    return connection.execute(statement).all()


def running(connection: Connection, attempt: str) -> Record | None:
    """Return the run and the owner of an attempt that runs."""
    statement = select(attempts.c.run_id, attempts.c.owner).where(
        attempts.c.id == attempt, attempts.c.state == AttemptState.RUNNING
    )
    return connection.execute(statement).first()


def over(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return which of ``ids`` are attempts of this journal that nobody runs any more."""
    ended = attempts.c.state.in_([AttemptState.REPORTED, *ATTEMPT_ENDED])
    expired = (attempts.c.state == AttemptState.RUNNING) & (attempts.c.lease < now())
    statement = select(attempts.c.id).where(attempts.c.id.in_(list(ids)), ended | expired)
    return set(connection.execute(statement).scalars())
