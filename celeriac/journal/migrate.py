"""Bring a database to the newest schema, with alembic; one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from celeriac.journal.create import alone


def upgrade(engine: Engine) -> None:
    """Upgrade to the newest revision; nothing to do is fine."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with alone(engine), engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
