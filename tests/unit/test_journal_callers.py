"""Callers in the journal: whose runs are seen, pages of them, keys, tokens and orders; on any database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from celeriac.errors import CeleriacError
from celeriac.journal import attempts, callers, runs, stops, views
from celeriac.journal.database import Database
from celeriac.journal.tables import attempts as attempts_table
from celeriac.journal.tables import runs as runs_table
from celeriac.states import RunState


def put(database: Database, name: str, caller: str | None = None, created: float | None = None, **values: Any) -> None:
    """Write a run."""
    with database.begin() as connection:
        needed: dict[str, Any] = {"name": "wf.cwl", "document": "d", "inputs": {}, "options": {}, "queues": []}
        assert runs.add(connection, id=name, caller=caller, **needed)
        assert not runs.add(connection, id=name, caller="somebody else", **needed)
        known = {"created": created} if created is not None else {}
        if known or values:
            connection.execute(update(runs_table).where(runs_table.c.id == name).values(**known, **values))


class CallersContract:
    """The tests; ``url`` names an empty database."""

    @pytest.fixture
    def database(self, url: str) -> Iterator[Database]:
        """A fresh journal."""
        database = Database(url)
        yield database
        database.close()

    def test_a_caller_sees_its_own_runs(self, database: Database) -> None:
        put(database, "a1", "alice")
        put(database, "b1", "bob")
        put(database, "o1")
        with database.read() as connection:
            for run, seen in (("a1", "alice"), ("b1", "bob")):
                assert [row.id for row in runs.page(connection, 9, caller=seen)] == [run]
                found = runs.seen(connection, run, seen)
                assert found is not None and found.options == {}
                assert runs.seen(connection, run, "carol") is None
            assert runs.seen(connection, "o1", "alice") is None and runs.seen(connection, "o1") is not None
            assert {row.id for row in runs.page(connection, 9)} == {"a1", "b1", "o1"}

    def test_pages_have_all_once_though_times_are_the_same(self, database: Database) -> None:
        for number in range(7):
            put(database, f"r{number}", "alice", created=1_700_000_000.1234567 + number // 3)
        seen: list[str] = []
        after = None
        with database.read() as connection:
            while rows := runs.page(connection, 2, caller="alice", after=after):
                seen += [row.id for row in rows]
                after = rows[-1].created, rows[-1].id
        assert seen == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]

    def test_pages_of_attempts(self, database: Database) -> None:
        put(database, "r")
        with database.begin() as connection:
            rows = [
                {"id": f"t{number}", "run_id": "r", "path": f"s[{number}]", "number": 1, "queue": "q"}
                for number in range(5)
            ]
            attempts.add(connection, rows)
            connection.execute(update(attempts_table).values(created=5.5))
        seen: list[str] = []
        after = None
        with database.read() as connection:
            while found := views.attempts_page(connection, "r", 2, after):
                seen += [row.id for row in found]
                after = found[-1].created, found[-1].id
            assert views.attempt(connection, "r", "t1") is not None
            assert views.attempt(connection, "other", "t1") is None
            assert not views.begun(connection, "r")
        with database.begin() as connection:
            connection.execute(update(attempts_table).where(attempts_table.c.id == "t1").values(started=6.0))
        with database.read() as connection:
            assert views.begun(connection, "r")
        assert seen == [f"t{number}" for number in range(5)]

    def test_runs_are_counted_by_state_and_error(self, database: Database) -> None:
        failed = {"state": RunState.FAILED, "error": CeleriacError("x").to_dict()}
        put(database, "1", "alice", **failed)
        put(database, "2", "alice", **failed)
        put(database, "3", "alice", state=RunState.SUCCESS)
        put(database, "4", "bob", **{**failed, "error": None})
        with database.read() as connection:
            mine = {(row.state, row.kind): row.number for row in runs.by_state(connection, "alice")}
            everybodys = {(row.state, row.kind): row.number for row in runs.by_state(connection)}
        assert mine == {("FAILED", "CeleriacError"): 2, ("SUCCESS", None): 1}
        assert everybodys == {**mine, ("FAILED", None): 1}

    def test_runs_of_a_workflow(self, database: Database) -> None:
        put(database, "1", "alice", 1.0, workflow="w", state=RunState.SUCCESS)
        put(database, "2", "alice", 2.0, workflow="w")
        put(database, "3", "bob", 3.0, workflow="v")
        put(database, "4", "alice", 4.0)

        def found(**wanted: Any) -> list[str]:
            with database.read() as connection:
                return [row.id for row in runs.of_workflow(connection, 9, **wanted)]

        assert found() == ["3", "2", "1"] and found(caller="alice") == ["2", "1"]
        assert found(workflow="v", caller="alice") == [] and found(states=[RunState.SUCCESS]) == ["1"]
        assert found(between=(2.0, 3.0)) == ["3", "2"] and found(between=(1.1, 1.9)) == []

    def test_runs_by_their_ids(self, database: Database) -> None:
        put(database, "1", "alice", workflow="w")
        put(database, "2")
        many = [f"none{number}" for number in range(1200)]
        with database.read() as connection:
            assert runs.of_ids(connection, []) == [] == runs.of_ids(connection, many)
            found = runs.of_ids(connection, ["2", *many, "1"])
        assert {(row.id, row.caller, row.document) for row in found} == {("1", "alice", "d"), ("2", None, "d")}

    def test_the_names_of_workflows(self, database: Database) -> None:
        with database.read() as connection:
            assert runs.workflows(connection) == []
        for number, name in enumerate(("w", None, "a b", "w", "W", "a-b", "\N{GREEK SMALL LETTER OMEGA}", "w")):
            put(database, str(number), workflow=name)
        with database.read() as connection:
            found = runs.workflows(connection)
        assert sorted(found) == sorted({"w", "W", "a b", "a-b", "\N{GREEK SMALL LETTER OMEGA}"})

    def test_keys(self, database: Database) -> None:
        with database.begin() as connection:
            assert not callers.any_key(connection)
            assert callers.add_key(connection, "alice", "d1", ["read"])
            assert not callers.add_key(connection, "alice", "d2", ["admin"])
            assert not callers.add_key(connection, "bob", "d1", ["admin"])
            assert callers.any_key(connection)
            row = callers.key(connection, "d1")
            assert row is not None and (row.name, row.scopes) == ("alice", ["read"])
            assert callers.key(connection, "d2") is None
            assert [row.name for row in callers.all_keys(connection)] == ["alice"]
            assert callers.remove_key(connection, "alice") and not callers.remove_key(connection, "alice")

    def test_a_token_is_used_once_till_it_expires(self, database: Database) -> None:
        with database.begin() as connection:
            later = views.clock(connection) + 1000
            assert not callers.is_used(connection, "t")
            assert callers.use_token(connection, "t", later) and not callers.use_token(connection, "t", later)
            assert callers.is_used(connection, "t") and not callers.is_used(connection, "other")
            assert callers.use_token(connection, "old", later - 2000)
            assert callers.use_token(connection, "other", later)  # it forgets those that have expired
            assert callers.use_token(connection, "old", later)

    def test_orders_to_stop_know_of_their_run(self, database: Database) -> None:
        put(database, "r", "alice", state=RunState.CANCELED, ended=7.0)
        with database.begin() as connection:
            assert stops.add(connection, id="1", run_id="one", caller="alice", target="r")
            assert stops.add(connection, id="2", run_id="two", caller="bob", target=None)
            assert not stops.add(connection, id="1", run_id="one", caller="alice", target=None)
        with database.read() as connection:
            assert [(row.run_id, row.ended) for row in stops.recent(connection, 9, "alice")] == [("one", 7.0)]
            assert {row.run_id for row in stops.recent(connection, 9, None)} == {"one", "two"}
            assert stops.recent(connection, 9, "alice", "two") == []


class TestSqlite(CallersContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """The address of a database that is not there yet."""
        return f"sqlite:///{tmp_path / 'journal.db'}"
