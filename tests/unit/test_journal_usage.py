"""What the journal tells of tools, attempts and waiting steps: on SQLite here, and on PostgreSQL elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from celeriac.journal import attempts, nodes, usage, views
from celeriac.journal.database import Database, now
from celeriac.journal.tables import attempts as table
from celeriac.resources import Ask, Resources
from celeriac.states import AttemptState, NodeState

DAY = 86400.0


def put(database: Database, path: str, number: int = 1, *, ago: float = 1.0, **values: Any) -> None:
    """Write one attempt of a tool that took two seconds and ended so many days ago."""
    asked = values.pop("asked", Ask(Resources(1, 100), ram=100).to_json())
    granted = values.pop("granted", {"cpus": 1.5, "ram": 100, "gpus": 0})
    name = f"{path}-{number}"
    row = {"id": name, "run_id": "r", "path": path, "number": number, "queue": values.pop("queue", "q"), "lane": 0}
    more = {"tool": values.pop("tool", "t"), "asked": asked, "granted": granted, "batch": None}
    with database.begin() as connection:
        attempts.add(connection, [{**row, **more}])
        ended = connection.execute(select(now())).scalar_one() - ago * DAY
        ends = {"state": AttemptState.SETTLED, "started": ended - 2, "ended": ended, "outcome": "success"}
        connection.execute(update(table).where(table.c.id == name).values(**{**ends, **values}))


class UsageContract:
    """The tests; ``url`` names an empty database."""

    @pytest.fixture
    def database(self, url: str) -> Iterator[Database]:
        """A fresh journal."""
        database = Database(url)
        yield database
        database.close()

    def test_a_tool_is_summed_up(self, database: Database) -> None:
        put(database, "a", peak_memory=50, cpu_seconds=1.0)
        put(database, "b", asked=Ask(Resources(2.5, 70000, 1)).to_json(), queue="p")
        put(database, "c", outcome="outOfMemory", peak_memory=99)
        put(database, "c", 2, queue="p", outcome="outOfMemory", granted={"cpus": 1, "ram": 400, "gpus": 0})
        put(database, "d", outcome="permanentFail", tool="other")
        with database.read() as connection:
            other, row = usage.tools(connection, 30)
            where = [tuple(found) for found in usage.queues(connection, 30)]
            used = [tuple(found) for found in usage.used(connection, 30)]
        assert (other.tool, other.attempts, other.out_of_memory, other.memory_had) == ("other", 1, 0, None)
        assert (row.tool, row.attempts, row.out_of_memory, row.memory_had) == ("t", 4, 2, 400)
        assert (row.cpus_min, row.cpus_max, row.ram_min, row.ram_max, row.gpus) == (1, 2.5, 100, 70000, 1)
        assert where == [("t", "q", 2), ("t", "p", 1), ("other", "q", 1)]
        assert sorted((tool, peak, cpu, pytest.approx(took, abs=0.01)) for tool, peak, cpu, took in used if peak) == [
            ("t", 50, 1.0, 2.0)
        ]
        assert len(used) == 2

    def test_what_does_not_tell_of_a_tool_is_left_out(self, database: Database) -> None:
        put(database, "lost", state=AttemptState.LOST, outcome=None)
        put(database, "host", outcome="infrastructure")
        put(database, "cancelled", outcome="canceled")
        put(database, "expression", granted=None)
        put(database, "old", ago=31)
        with database.read() as connection:
            assert usage.tools(connection, 30) == usage.queues(connection, 30) == usage.used(connection, 30) == []
            assert [row.tool for row in usage.tools(connection, 40)] == ["t"]
            assert usage.tools(connection, 40, ["u"]) == []
            assert usage.names(connection) == ["t"]

    def test_the_attempts_of_a_node_come_in_order(self, database: Database) -> None:
        put(database, "a", 2)
        put(database, "a", 1)
        with database.read() as connection:
            assert [row.number for row in views.tried(connection, "r", "a")] == [1, 2]
            assert views.tried(connection, "r", "b") == []

    def test_the_jobs_of_a_scatter(self, database: Database) -> None:
        rows: list[dict[str, Any]] = [
            {"run_id": "r", "path": f"s[{n}]", "parent": "s", "step": "s", "kind": "job", "idx": n,
             "state": NodeState.QUEUED, "attempt": f"s[{n}]-1" if n < 11 else None}
            for n in range(12)
        ]  # fmt: skip
        with database.begin() as connection:
            nodes.add(connection, rows)
        for number in range(11):
            put(database, f"s[{number}]", queue="p" if number else "q", state=AttemptState.QUEUED, outcome=None)
        with database.read() as connection:
            assert views.first_job(connection, "r", "s") == "s[0]"
            assert views.first_job(connection, "r", "other") is None
            assert views.jobs_by_queue(connection, "r", "s") == {"q": 1, "p": 10, None: 1}
            assert (views.items(connection, "r", "s"), views.items(connection, "r", "t")) == (12, 0)
            assert (views.waiting(connection, "p"), views.waiting(connection, "x")) == (10, 0)


class TestSqlite(UsageContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """The address of a database that is not there yet."""
        return f"sqlite:///{tmp_path / 'journal.db'}"
