"""What the journal keeps to on any database: the same tests on SQLite here, and on PostgreSQL elsewhere."""

from __future__ import annotations

import fcntl
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml.scalarfloat import ScalarFloat
from sqlalchemy import Connection, inspect, select, text, update

from celeriac.errors import JournalUnavailable
from celeriac.journal import attempts, leases, nodes, outbox, runs
from celeriac.journal.database import HEAD, Database, now
from celeriac.journal.migrate import upgrade
from celeriac.journal.tables import attempts as attempts_table
from celeriac.journal.tables import metadata
from celeriac.journal.tables import nodes as nodes_table
from celeriac.states import IllegalMove, NodeState, RunState

HANG = 60.0
THREADS = 8
FORK = multiprocessing.get_context("fork")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def at_once(call: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Call in many threads at the same moment; return the results."""
    gate = threading.Barrier(threads)

    def wait(number: int) -> Any:
        gate.wait(HANG)
        return call(number)

    with ThreadPoolExecutor(threads) as pool:
        return [future.result(HANG) for future in [pool.submit(wait, number) for number in range(threads)]]


def a_run(database: Database, name: str = "r", **values: Any) -> None:
    with database.begin() as connection:
        given_ = {"name": "wf.cwl", "document": "d", "inputs": {}, "options": {}, "queues": [], **values}
        runs.add(connection, id=name, **given_)


def a_node(database: Database, path: str, run: str = "r", **values: Any) -> None:
    row = {"run_id": run, "path": path, "step": path, "kind": "job", "state": NodeState.READY}
    with database.begin() as connection:
        nodes.add(connection, [{**row, **values}])


def an_attempt(database: Database, name: str, run: str = "r", path: str = "s", number: int = 1) -> None:
    with database.begin() as connection:
        attempts.add(
            connection,
            [
                {
                    "id": name, "run_id": run, "path": path, "number": number, "queue": "q", "lane": 0,
                    "tool": "t", "asked": {}, "granted": None, "batch": None,
                }
            ],  # fmt: skip
        )


def report(database: Database, name: str, owner: str) -> bool:
    with database.begin() as connection:
        told = attempts.Report(
            name, outcome="success", exit_code=0, outputs={"by": owner}, error=None,
            directory="/", peak_memory=None, cpu_seconds=None,
        )  # fmt: skip
        return attempts.report(connection, owner, [told]) == {name}


def open_it(url: str, gate: Any, answers: Any) -> None:
    """Open a journal in a process of its own; say how it went."""
    gate.wait(HANG)
    database = Database(url)
    try:
        a_run(database, f"r{multiprocessing.current_process().pid}")
        answers.put("")
    except Exception as error:
        answers.put(repr(error))
    finally:
        database.close()


def processes_open(url: str, number: int = 4) -> list[str]:
    """Have some processes open a journal at the same moment; return their complaints."""
    gate, answers = FORK.Barrier(number), FORK.Queue()
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(forked(open_it, url, gate, answers))
        found = [answers.get(timeout=HANG) for _ in range(number)]
    return [complaint for complaint in found if complaint]


@contextmanager
def forked(target: Callable[..., Any], *args: Any) -> Iterator[Any]:
    """Yield a forked process, which is surely gone at the end: Python's exit would wait for one that hangs."""
    process = FORK.Process(target=target, args=args)
    process.start()
    try:
        yield process
        process.join(HANG)
    finally:
        process.kill()
        process.join()


def schema(connection: Connection) -> dict[str, Any]:
    """Return all that a database says of its tables, in one form."""
    found = inspect(connection)
    return {
        table: {
            "columns": sorted(
                (c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(table)
            ),
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "unique": found.get_unique_constraints(table),
            "foreign": found.get_foreign_keys(table),
            "indexes": sorted(
                (i["name"], i["column_names"], i["unique"], {k: str(v) for k, v in i["dialect_options"].items()})
                for i in found.get_indexes(table)
            ),
        }
        for table in found.get_table_names()
    }


class JournalContract:
    """A subclass gives ``url``: the address of an empty database."""

    @pytest.fixture
    def database(self, url: str) -> Iterator[Database]:
        made = Database(url)
        yield made
        made.close()

    def test_a_claim_is_exclusive(self, database: Database) -> None:
        a_run(database)
        for turn in range(5):
            name = f"a{turn}"
            an_attempt(database, name)

            def claim(number: int, name: str = name) -> bool:
                with database.begin() as connection:
                    return attempts.claim(connection, [name], f"owner{number}", "host", 60.0) != []

            assert sum(at_once(claim)) == 1

    def test_only_the_owner_reports_and_only_once(self, database: Database) -> None:
        a_run(database)
        an_attempt(database, "a")
        with database.begin() as connection:
            attempts.claim(connection, ["a"], "owner3", "host", 60.0)
        assert at_once(lambda number: report(database, "a", f"owner{number}")).count(True) == 1
        assert not report(database, "a", "owner3"), "a second time"
        with database.read() as connection:
            row = connection.execute(select(attempts_table)).one()
        assert (row.state, row.outputs, row.owner) == ("REPORTED", {"by": "owner3"}, "owner3")

    def test_an_expired_lease_is_found_once(self, database: Database) -> None:
        a_run(database)
        an_attempt(database, "a")
        with database.begin() as connection:
            attempts.claim(connection, ["a"], "o", "host", 60.0)
            assert leases.expire(connection, "r") == []
            connection.execute(update(attempts_table).values(lease=now() - 1.0))

        def expire(number: int) -> int:
            with database.begin() as connection:
                return len(leases.expire(connection, "r"))

        assert sum(at_once(expire)) == 1
        assert not report(database, "a", "o")

    def test_a_named_lock_has_one_holder(self, database: Database) -> None:
        def take(number: int) -> bool:
            with database.begin() as connection:
                return outbox.lock(connection, "scan", f"owner{number}", 60.0)

        assert at_once(take).count(True) == 1
        with database.begin() as connection:
            connection.execute(text("UPDATE locks SET until = 0"))
        assert at_once(take).count(True) == 1, "when it ran out too"

    def test_a_document_can_be_kept_by_many_at_once(self, database: Database) -> None:
        def keep(number: int) -> None:
            with database.begin() as connection:
                runs.put_document(connection, "hash", "body")

        at_once(keep)
        with database.read() as connection:
            assert runs.document(connection, "hash") == "body"

    def test_parts_are_counted_down_without_loss(self, database: Database) -> None:
        a_run(database)
        a_node(database, "s", state=NodeState.RUNNING, remaining=THREADS * 5)

        def count(number: int) -> list[int]:
            found = []
            for _ in range(5):
                with database.begin() as connection:
                    assert runs.lock(connection, "r") is not None
                    found.append(nodes.count_down(connection, "r", "s", 1, 1).remaining)
            return found

        assert sorted(sum(at_once(count), [])) == list(range(THREADS * 5))

    def test_what_failed_is_undone(self, database: Database) -> None:
        with pytest.raises(ZeroDivisionError), database.begin() as connection:
            runs.add(connection, id="r", name="", document="", inputs={}, options={}, queues=[])
            raise ZeroDivisionError
        with database.read() as connection:
            assert runs.get(connection, "r") is None

    def test_messages_keep_their_order(self, database: Database) -> None:
        a_run(database)
        with database.begin() as connection:
            numbers = outbox.add(connection, "r", [("chain", {"n": n}) for n in range(40)])
        assert numbers == sorted(set(numbers))
        with database.begin() as connection:
            assert [row.payload["n"] for row in outbox.overdue(connection, -1.0)] == list(range(40))
            outbox.done(connection, numbers[:39])
            assert [row.id for row in outbox.overdue(connection, -1.0)] == [numbers[39]]
            assert outbox.overdue(connection, 60.0) == []

    def test_the_clock_is_the_database_s_in_seconds(self, database: Database) -> None:
        with database.read() as connection:
            found = connection.execute(select(now())).scalar_one()
        assert isinstance(found, float)
        assert abs(found - time.time()) < 3600

    @given(value=JSON)
    @example(value="not UTF-8: \udcff")  # how Python spells such a file name
    @example(value="\0\u2028\U0001f600")
    @example(value={"celeriac:float": [1.0]})
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def test_values_come_back_as_they_were(self, url: str, value: Any) -> None:
        database = _opened(url)
        with database.begin() as connection:
            connection.execute(text("DELETE FROM runs"))
            runs.add(connection, id="v", name="", document="", inputs={"value": value}, options={}, queues=[])
            found = runs.inputs(connection, "v")["value"]
        assert found == value and repr(found) == repr(value)

    def test_illegal_moves_of_a_run_are_refused(self, database: Database) -> None:
        a_run(database)
        with database.begin() as connection, pytest.raises(IllegalMove):
            runs.change(connection, "r", RunState.PENDING, RunState.SUCCESS)

    def test_an_ended_node_stays_as_it_is(self, database: Database) -> None:
        a_run(database)
        a_node(database, "s", state=NodeState.FAILED)
        with database.begin() as connection:
            nodes.change(connection, "r", ["s"], NodeState.SUCCESS)
            nodes.cancel_open(connection, "r")
            assert nodes.states(connection, "r", ["s"]) == {"s": "FAILED"}

    @given(values=st.lists(st.none() | st.dictionaries(st.text(max_size=8), JSON, max_size=3), max_size=7))
    @example(values=[None, {"at": {"celeriac:float": [1.0]}}, {"at": ScalarFloat(1.5, width=3, prec=1)}, {}])
    @example(values=[{"n": number, "not UTF-8": "\udcff"} for number in range(1001)])
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    def test_items_outputs_come_back_in_their_order(self, url: str, values: list[Any]) -> None:
        items = (
            {
                "run_id": "r", "path": f"s[{number}]", "parent": "s", "step": "s", "kind": "job", "idx": number,
                "state": NodeState.SKIPPED if value is None else NodeState.READY, "outputs": value,
            }
            for number, value in reversed(list(enumerate(values)))
        )  # fmt: skip
        with _opened(url).begin() as connection:
            connection.execute(text("DELETE FROM nodes"))
            nodes.add(connection, items)
            found = nodes.item_outputs(connection, "r", "s")
            noted = select(nodes_table.c.path).where(nodes_table.c.ended.is_not(None))
            ended = set(connection.execute(noted).scalars())
        expected = [value or {} for value in values]
        assert found == expected and repr(found) == repr(expected)
        assert ended == {f"s[{number}]" for number, value in enumerate(values) if value is None}

    def test_the_migrations_lead_to_what_a_new_one_is(self, database: Database) -> None:
        with database.engine.begin() as connection:
            new = schema(connection)
            metadata.drop_all(connection)
            connection.execute(text("DROP TABLE alembic_version"))
        upgrade(database.engine)
        with database.engine.connect() as connection:
            assert schema(connection) == new
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
            assert context.get_current_revision() == HEAD

    def test_opening_it_again_keeps_what_is_there(self, database: Database, url: str) -> None:
        a_run(database)
        again = Database(url)
        with again.read() as connection:
            assert runs.get(connection, "r") is not None
        again.close()

    def test_a_newer_schema_is_refused(self, database: Database, url: str) -> None:
        with database.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(JournalUnavailable, match="9999"):
            _ = Database(url).engine

    def test_processes_may_open_a_new_one_at_once(self, url: str) -> None:
        assert processes_open(url) == []

    def test_a_forked_child_has_connections_of_its_own(self, database: Database) -> None:
        a_run(database)
        with forked(a_run, database, "of the child") as child:
            pass
        assert child.exitcode == 0
        with database.read() as connection:
            assert set(runs.open_runs(connection)) == {"r", "of the child"}


_DATABASES: dict[str, Database] = {}


def _opened(url: str) -> Database:
    return _DATABASES.setdefault(url, Database(url))


class TestSqlite(JournalContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'new' / 'journal.db'}"

    def test_one_that_another_process_is_making_is_waited_for(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.db"
        with open(f"{path}.lock", "w") as lock, sqlite3.connect(path, isolation_level=None) as other:
            fcntl.flock(lock, fcntl.LOCK_EX)
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(1) as pool:
                opening = pool.submit(lambda: Database(f"sqlite:///{path}").engine)
                with pytest.raises(TimeoutError):
                    opening.result(0.5)
                other.execute("COMMIT")
                fcntl.flock(lock, fcntl.LOCK_UN)
                opening.result(HANG).dispose()
