"""Bring a database to the newest schema, with alembic; one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text


def upgrade(engine: Engine) -> None:
    """Upgrade to the newest revision; nothing to do is fine."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with _alone(engine), engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
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
