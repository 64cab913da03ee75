"""INSERT ... ON CONFLICT, which each database writes in its own way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table


def upsert(connection: Connection, table: Table) -> Any:
    """Return the INSERT of the connection's database; what only the other one needs is not loaded."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def insert_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row; False when there is one in its place.

    psycopg forgets the number of rows of an INSERT as soon as its cursor is closed, unless that is asked for.
    """
    statement = upsert(connection, table).values(**values).on_conflict_do_nothing()
    return bool(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount)
