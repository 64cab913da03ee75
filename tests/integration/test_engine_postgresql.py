"""The engine on a real PostgreSQL, where workers of many machines meet: the same tests as on SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import World, world
from tests.unit.test_engine_orders import NARROW, OrdersContract


@pytest.fixture(scope="session")
def engine_journal(postgresql_url: str) -> str:
    """The address of a database of its own."""
    server = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE engine"))
    server.dispose()
    return make_url(postgresql_url).set(database="engine").render_as_string(hide_password=False)


class TestPostgresql(OrdersContract):
    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, engine_journal: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
        home = tmp_path_factory.mktemp("home")
        with world(home, journal_url=engine_journal, fair=False, **NARROW) as made:
            made.workers.append(made.worker())
            yield made


def test_an_output_that_the_database_refuses_fails_the_step_with_the_cause(engine_journal: str, tmp_path: Path) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        return {"out": float("nan")}

    one = step(tool("a", outputs={"out": "float"}), {"a": "x"})
    document = write(tmp_path, workflow({"x": "int"}, {"s": one}, {"o": output("s/out")}))
    with world(tmp_path / "home", play, journal_url=engine_journal) as cluster:
        row = cluster.finished(document, {"x": 1})
        assert (row.state, row.error["type"]) == ("FAILED", "StepFailed")
        assert "the outputs of 's' can't be kept" in row.error["message"]
        assert len(cluster.started) == 1, "to try it again would not help"
