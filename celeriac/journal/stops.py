"""Orders to stop a run, as clients of CWL-Airflow give them and ask for them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from celeriac.journal.database import now
from celeriac.journal.tables import Record, runs, stops
from celeriac.journal.upsert import insert_new


def add(connection: Connection, **values: Any) -> bool:
    """Add an order; False when there is one of that id."""
    return insert_new(connection, stops, created=now(), **values)


def _seen(caller: str | None) -> Select[Any]:
    ended = runs.c.ended.label("ended"), runs.c.state.label("state")
    found = select(stops, *ended).select_from(stops.outerjoin(runs, runs.c.id == stops.c.target))
    return found if caller is None else found.where(stops.c.caller == caller)


def recent(connection: Connection, limit: int, caller: str | None, run: str | None = None) -> Sequence[Record]:
    """Return a caller's orders (None: everybody's) with the state and end of what they are to stop, newest first."""
    statement = _seen(caller)
    if run is not None:
        statement = statement.where(stops.c.run_id == run)
    return connection.execute(statement.order_by(stops.c.created.desc()).limit(limit)).all()
