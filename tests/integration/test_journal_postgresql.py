"""The journal and the engine on a real PostgreSQL: the same tests as on SQLite."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from celeriac.errors import JournalUnavailable
from celeriac.journal.database import Database
from tests.unit.test_journal_callers import CallersContract
from tests.unit.test_journal_contract import JournalContract
from tests.unit.test_journal_usage import UsageContract

_numbers = itertools.count()


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    """The address of a fresh database."""
    name = f"journal{next(_numbers)}"
    server = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)
    server.dispose()


class TestPostgresql(JournalContract):
    pass


class TestUsage(UsageContract):
    pass


class TestCallers(CallersContract):
    pass


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    database = Database("postgresql://me:secret@127.0.0.1:1/journal", timeout=2)
    with pytest.raises(JournalUnavailable, match="me:\\*\\*\\*@127.0.0.1:1") as caught:
        _ = database.engine
    assert "secret" not in str(caught.value)
