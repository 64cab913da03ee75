"""The outbox: what must be published, written in the commit that decided it.

Rows are published after the commit and then deleted. A crash in between leaves the row; the scan
publishes it again, and the claim makes the doubled message harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from celeriac.journal.database import now
from celeriac.journal.runs import kept_by
from celeriac.journal.tables import Record, locks, outbox, runs
from celeriac.journal.upsert import upsert


def add(connection: Connection, run: str, messages: list[tuple[str, dict[str, Any]]]) -> list[int]:
    """Add messages (kind, payload); return their ids in order."""
    if not messages:
        return []
    rows = [{"run_id": run, "kind": kind, "payload": payload} for kind, payload in messages]
    return list(connection.execute(_ADD, rows).scalars())


_ADD = insert(outbox).values(created=now()).returning(outbox.c.id, sort_by_parameter_order=True)


def done(connection: Connection, ids: list[int]) -> None:
    """Forget what was published."""
    if ids:
        connection.execute(_DONE, {"ids": ids})


_DONE = delete(outbox).where(outbox.c.id.in_(bindparam("ids", expanding=True)))


def overdue(
    connection: Connection, older: float, keeper: str | None = None, limit: int = 200
) -> Sequence[Record]:
    """Return what has lain for ``older`` seconds, of the runs that ``keeper`` looks after (None: the workers)."""
    statement = (
        select(outbox)
        .where(outbox.c.created < now() - older, outbox.c.run_id.in_(select(runs.c.id).where(kept_by(keeper))))
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return connection.execute(statement).all()


def lock(connection: Connection, name: str, owner: str, seconds: float) -> bool:
    """Take a named lock for a while; False when another owner holds it."""
    held = {"owner": owner, "until": now() + seconds}
    statement = upsert(connection, locks).values(name=name, **held)
    # one statement: many workers may come for a lock that was never taken before
    statement = statement.on_conflict_do_update(
        index_elements=[locks.c.name], set_=held, where=(locks.c.until <= now()) | (locks.c.owner == owner)
    )
    return connection.execute(statement.returning(locks.c.name)).first() is not None
