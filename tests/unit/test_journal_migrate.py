"""A journal of an earlier schema is brought to what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

from celeriac.journal import migrate
from celeriac.journal.database import HEAD, Database
from celeriac.journal.tables import metadata


@pytest.mark.parametrize("revision", ["", "0001", HEAD])
def test_an_older_journal_gets_the_columns_and_indexes_of_now(tmp_path: Path, revision: str) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    if revision:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
        with create_engine(url).connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    database = Database(url)
    with database.read() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            assert {column["name"] for column in found.get_columns(table.name)} == {c.name for c in table.columns}
            assert {index["name"] for index in found.get_indexes(table.name)} == {i.name for i in table.indexes}
    database.close()


def test_a_migration_that_was_broken_off_is_done(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    database = Database(url)
    with database.read() as connection:
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    database.close()
