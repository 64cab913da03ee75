"""Notices in the journal on any database: the same tests on SQLite here, and on PostgreSQL elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from celeriac.journal import notices, runs
from celeriac.journal.database import Database
from celeriac.journal.tables import notices as table
from tests.unit.test_journal_contract import a_node, a_run, at_once

LEASE = 1000.0


def write(database: Database, *payloads: Any, run: str = "r", target: str = "") -> None:
    with database.begin() as connection:
        notices.add(connection, run, [("status", target, {"n": payload}) for payload in payloads])


def claim(database: Database, run: str = "r", target: str = "") -> Any:
    with database.begin() as connection:
        return notices.claim(connection, run, target, LEASE)


def pass_time(database: Database, seconds: float) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE notices SET due = due - :s"), {"s": seconds})


def due(database: Database, keeper: str | None = None, *, listener: bool = True) -> list[str]:
    with database.read() as connection:
        return notices.due_runs(connection, keeper, listener=listener)


def left(database: Database) -> list[tuple[Any, bool]]:
    with database.read() as connection:
        rows = connection.execute(select(table.c.payload, table.c.dead).order_by(table.c.id)).all()
    return [(row.payload["n"], row.dead) for row in rows]


class NoticesContract:
    """What holds on any database; a subclass gives the fixture ``url``."""

    @pytest.fixture
    def database(self, url: str) -> Iterator[Database]:
        made = Database(url)
        yield made
        made.close()

    def test_a_line_goes_out_in_order_one_at_a_time(self, database: Database) -> None:
        write(database, 1, 2, 3)
        for number in (1, 2, 3):
            head = claim(database)
            assert head.payload == {"n": number} and head.tries == 1
            assert claim(database) is None  # somebody has it
            with database.begin() as connection:
                notices.delivered(connection, head.id)
        assert claim(database) is None
        assert left(database) == []

    def test_lines_do_not_wait_for_each_other(self, database: Database) -> None:
        write(database, 1)
        write(database, 2, target="http://h/")
        write(database, 3, run="s")
        lines = (("r", ""), ("r", "http://h/"), ("s", ""))
        assert [claim(database, *line).payload["n"] for line in lines] == [1, 2, 3]
        with database.read() as connection:
            assert notices.targets(connection, "r") == ["", "http://h/"]

    def test_of_many_one_gets_the_head(self, database: Database) -> None:
        write(database, 1, 2)
        got = [one for one in at_once(lambda _: claim(database)) if one is not None]
        assert [one.payload["n"] for one in got] == [1]

    def test_many_deliver_a_line_in_order(self, database: Database) -> None:
        write(database, *range(40))
        seen: list[int] = []

        def work(_: int) -> None:
            idle = 0
            while idle < 50 and len(seen) < 40:
                head = claim(database)
                if head is None:
                    idle += 1
                    continue
                seen.append(head.payload["n"])
                with database.begin() as connection:
                    notices.delivered(connection, head.id)

        at_once(work, 4)
        while (head := claim(database)) is not None:  # all may have been idle at once
            seen.append(head.payload["n"])
            with database.begin() as connection:
                notices.delivered(connection, head.id)
        assert seen == list(range(40))

    def test_who_dies_with_one_loses_it(self, database: Database) -> None:
        write(database, 1)
        first = claim(database)
        pass_time(database, LEASE + 1)
        second = claim(database)
        assert (second.id, second.key, second.tries) == (first.id, first.key, 2)
        with database.begin() as connection:  # the first one was only slow: it has nothing to say any more
            notices.failed(connection, first, 1.0, "late")
        assert claim(database) is None
        with database.read() as connection:
            assert [row.error for row in notices.listing(connection)] == [None]

    def test_a_failure_puts_off_the_line(self, database: Database) -> None:
        a_run(database)
        write(database, 1, 2)
        write(database, 9, target="http://h/")
        with database.begin() as connection:
            head = notices.claim(connection, "r", "", LEASE)
            assert head is not None
            notices.failed(connection, head, 50.0, "no")
        assert claim(database) is None
        assert due(database) == ["r"]  # the other listener
        assert claim(database, target="http://h/").payload["n"] == 9
        assert due(database) == []
        write(database, 3)  # comes to wait behind
        assert due(database) == []
        pass_time(database, 51)
        assert due(database) == ["r"]
        assert claim(database).payload["n"] == 1

    def test_a_listener_that_is_away_puts_off_all_that_waits_for_it(self, database: Database) -> None:
        for run in ("r", "s"):
            write(database, 1, 2, run=run)
        write(database, 3, run="s", target="http://h/")
        write(database, 4, run="t")
        under_way = claim(database, "t")
        with database.begin() as connection:
            head = notices.claim(connection, "r", "", LEASE)
            assert head is not None
            notices.away(connection, head, 50.0, "nobody there")
        assert due(database) == ["s"]
        assert claim(database, "s") is None
        assert claim(database, "s", "http://h/").payload["n"] == 3
        pass_time(database, 51)
        assert claim(database, "s").payload["n"] == 1
        assert claim(database, "t") is None  # it is on its way still
        with database.begin() as connection:
            notices.delivered(connection, under_way.id)

    def test_many_find_a_listener_away_at_once(self, database: Database) -> None:
        names = [f"run{number}" for number in range(8)]
        for name in names:
            write(database, *range(200), run=name)
        heads = [claim(database, name) for name in names]

        def away(number: int) -> None:
            with database.begin() as connection:
                notices.away(connection, heads[number], 50.0, "nobody there")

        at_once(away, 8)
        assert due(database) == []
        pass_time(database, 51)
        assert sorted(due(database)) == names

    def test_what_is_given_up_lets_the_next_pass(self, database: Database) -> None:
        write(database, 1, 2, 3)
        with database.begin() as connection:
            head = notices.claim(connection, "r", "", LEASE)
            assert head is not None
            notices.bury(connection, head, "no", line=False)
        assert claim(database).payload["n"] == 2
        assert left(database) == [(1, True), (2, False), (3, False)]

    def test_a_line_is_given_up_together_and_comes_back_in_order(self, database: Database) -> None:
        write(database, 1, 2, 3)
        write(database, 7, run="s")
        with database.begin() as connection:
            head = notices.claim(connection, "r", "", LEASE)
            assert head is not None
            notices.bury(connection, head, "nobody there", line=True)
        assert claim(database) is None
        with database.read() as connection:
            assert [row.error for row in notices.listing(connection, dead=True)] == ["nobody there"] * 3
        with database.begin() as connection:
            assert notices.revive(connection, of=["s"], dead=True) == []
            assert notices.revive(connection, dead=True) == ["r"]
        assert claim(database).payload["n"] == 1

    def test_what_is_on_its_way_is_not_sent_by_hand_as_well(self, database: Database) -> None:
        write(database, 1)
        assert claim(database) is not None
        with database.begin() as connection:
            assert notices.revive(connection) == []
        assert claim(database) is None

    def test_an_embedded_run_looks_after_its_own(self, database: Database) -> None:
        a_run(database, keeper="k")
        a_run(database, "s")
        write(database, 1)
        write(database, 2, run="s")
        assert sorted(due(database)) == ["r", "s"]
        assert due(database, "k") == ["r"]

    def test_without_a_listener_here_only_runs_with_their_own_are_looked_after(self, database: Database) -> None:
        write(database, 1)
        write(database, 2, run="s", target="http://h/")
        assert due(database, listener=False) == ["s"]

    def test_what_is_told_of_a_run(self, database: Database) -> None:
        a_run(database, "a", workflow="flow", request={"run_id": "manual__1", "conf": {}})
        a_run(database, "b", request={"tags": {}})
        a_run(database, "c")
        with database.read() as connection:
            found = [notices.about(connection, name) for name in "abc"]
        assert [(row.workflow, row.run_id) for row in found] == [("flow", "manual__1"), (None, None), (None, None)]

    def test_parts_are_all_but_items(self, database: Database) -> None:
        a_run(database)
        a_node(database, "", kind="workflow", parent=None, step="")
        a_node(database, "s", kind="scatter", parent="")
        a_node(database, "s[0]", kind="workflow", parent="s", idx=0)
        a_node(database, "s[0]/x", parent="s[0]")
        a_node(database, "sub", kind="workflow", parent="")
        a_node(database, "sub/t", parent="sub")
        with database.read() as connection:
            assert {row.path for row in notices.parts(connection, "r")} == {"", "s", "sub", "sub/t"}
            assert [row.path for row in notices.traces(connection, "r", ["s"])] == ["s"]
            assert runs.get(connection, "r") is not None


class TestSqlite(NoticesContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'journal.db'}"
