"""The workers that are there: where each runs, what its host may give, which queues it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from celeriac.journal.database import now
from celeriac.journal.tables import Record, attempts, workers
from celeriac.journal.upsert import upsert
from celeriac.states import AttemptState

#: Scans that a worker may miss before it is taken for gone.
MISSED = 4


def within(scan_interval: float) -> float:
    """Return the seconds since which a worker that is there has been seen."""
    return scan_interval * MISSED


def seen(connection: Connection, name: str, **values: Any) -> None:
    """Note that a worker is there: host, budget, slots, queues."""
    given = {**values, "seen": now()}
    statement = upsert(connection, workers).values(name=name, **given)
    connection.execute(statement.on_conflict_do_update(index_elements=[workers.c.name], set_=given))


def gone(connection: Connection, name: str) -> None:
    """Forget a worker that ended."""
    connection.execute(delete(workers).where(workers.c.name == name))


def alive(connection: Connection, within: float) -> Sequence[Record]:
    """Return the workers that were seen within so many seconds, by name."""
    statement = select(workers).where(workers.c.seen >= now() - within).order_by(workers.c.name)
    return connection.execute(statement).all()


def forget(connection: Connection, older: float) -> None:
    """Forget those that have not been seen for so long."""
    connection.execute(delete(workers).where(workers.c.seen < now() - older))


def running(connection: Connection) -> Mapping[tuple[str, str], int]:
    """Count the attempts that run now, by host and queue."""
    statement = (
        select(attempts.c.host, attempts.c.queue, func.count())
        .where(attempts.c.state == AttemptState.RUNNING)
        .group_by(attempts.c.host, attempts.c.queue)
    )
    return {(host or "", queue): number for host, queue, number in connection.execute(statement)}
