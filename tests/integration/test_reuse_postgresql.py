"""Reuse on PostgreSQL: who takes outputs and who removes them come one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from celeriac.journal import digests, reuse
from celeriac.journal.tables import Record
from tests.unit.engine_documents import tool, write
from tests.unit.engine_harness import World, add, world
from tests.unit.test_journal_contract import at_once


@pytest.fixture
def lab(postgresql_url: str, tmp_path: Path) -> Iterator[World]:
    server = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS reuse WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE reuse"))
    server.dispose()
    journal = make_url(postgresql_url).set(database="reuse").render_as_string(hide_password=False)
    with world(tmp_path / "home", add, journal_url=journal) as made:
        yield made


def done(lab: World, document: Path) -> Record:
    run = lab.finished(document, {"a": 1}, reuse=True)
    return lab.attempts(run.id)[0]


def test_what_was_done_is_not_done_again(lab: World, tmp_path: Path) -> None:
    document = write(tmp_path, tool("a"))
    made, taker = done(lab, document), done(lab, document)
    assert taker.reused == made.id and lab.started == [made.id]
    with lab.engine.database.begin() as connection:
        assert reuse.used_by(connection, made.run_id) == taker.run_id
        before = reuse.before(connection, taker.run_id, "", taker.tool, lab.run(taker.run_id).created)
        assert before is not None and before.id == made.id
        for stamp in "12":
            digests.put(connection, "host", "/x", stamp, stamp)
        assert digests.get(connection, "host", "/x", "2") == "2"


def test_either_the_files_are_taken_or_they_go(lab: World, tmp_path: Path) -> None:
    document = write(tmp_path, tool("a"))
    for _ in range(5):
        made = done(lab, document)
        with lab.engine.database.begin() as connection:
            connection.execute(text("UPDATE attempts SET key = 'own', reused = NULL WHERE id = :i"), {"i": made.id})
        taker = lab.start(document, {"a": 2}, reuse=False)
        lab.drain()
        (mine,) = lab.attempts(taker)
        with lab.engine.database.begin() as connection:
            connection.execute(text("UPDATE attempts SET state = 'RUNNING' WHERE id = :i"), {"i": mine.id})

        def one(number: int, made: Record = made, mine: Record = mine) -> bool:
            with lab.engine.database.begin() as connection:
                if number:
                    return reuse.take(connection, mine.id, lab.engine.owner, made.id, "own")
                return reuse.release(connection, made.run_id)

        released, taken = at_once(one, 2)
        assert released != taken
