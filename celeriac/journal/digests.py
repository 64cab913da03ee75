"""Digests of large files in the journal: each is read once a host, not once a process."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select

from celeriac.journal.database import now
from celeriac.journal.tables import digests
from celeriac.journal.upsert import upsert

_GET = select(digests.c.digest).where(
    digests.c.host == bindparam("on"), digests.c.path == bindparam("file"), digests.c.stamp == bindparam("mark")
)


def get(connection: Connection, host: str, path: str, stamp: str) -> str | None:
    """Return the digest of a file that has this stamp, or None."""
    found: str | None = connection.execute(_GET, {"on": host, "file": path, "mark": stamp}).scalar()
    return found


def put(connection: Connection, host: str, path: str, stamp: str, digest: str) -> None:
    """Keep a digest in place of what was kept of that path."""
    row = {"stamp": stamp, "digest": digest, "seen": now()}
    statement = upsert(connection, digests).values(host=host, path=path, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=[digests.c.host, digests.c.path], set_=row))


def forget(connection: Connection, older: float) -> int:
    """Delete what was written more than ``older`` seconds ago; return how much. Such files are read once more."""
    return connection.execute(delete(digests).where(digests.c.seen < now() - older)).rowcount
