"""Make a new journal straight from the tables: no migration is run, and alembic is not even loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Connection, Engine, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text

from celeriac.journal.tables import finish_for_postgresql, metadata

#: Where alembic keeps the revision of a database.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def create(engine: Engine, revision: str) -> None:
    """Make the tables in a database that has none, and say that they are of ``revision``; all of it or nothing."""
    with alone(engine), engine.begin() as connection:
        if inspect(connection).has_table(_version.name):  # another process was first
            return
        if engine.dialect.name == "postgresql":
            finish_for_postgresql()
        metadata.create_all(connection, checkfirst=False)
        _version.create(connection, checkfirst=False)
        connection.execute(insert(_version).values(version_num=revision))


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Hold off other processes that start at the same time."""
    if engine.dialect.name == "sqlite":
        yield  # the database's file is locked while it is opened
        return
    with engine.connect() as connection:
        _advisory(connection, "pg_advisory_lock")
        try:
            yield
        finally:
            _advisory(connection, "pg_advisory_unlock")


def _advisory(connection: Connection, function: str) -> None:
    connection.execute(text(f"SELECT {function}(428631)"))
    connection.commit()
