"""One step is cancelled, or somebody sets a state in the database by hand: tools stop, the run goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from celeriac.engine.stop import cancel_step
from celeriac.journal import leases
from tests.unit.engine_documents import MULTIPLE, SCATTER, SUBWORKFLOW, output, step, tool, workflow, write
from tests.unit.engine_harness import World, add, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", scatter_window=4, scatter_width=2) as made:
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Two branches: ``l`` then ``after``; ``each`` (a scatter of a workflow) and ``r``."""
    inner = workflow({"x": "int"}, {"in": step(tool("a"), {"a": "x"})}, {"out": output("in/out")})
    steps = {
        "l": step(tool("a"), {"a": "n"}),
        "after": step(tool("a"), {"a": "l/out"}),
        "each": step(inner, {"x": "list"}, scatter="x"),
        "r": step(tool("a"), {"a": "n"}),
    }
    outputs = {name: output(f"{name}/out") for name in steps}
    return write(
        tmp_path, workflow({"n": "int", "list": "int[]"}, steps, outputs, SCATTER, SUBWORKFLOW, MULTIPLE)
    )


INPUTS = {"n": 1, "list": [1, 2, 3, 4, 5, 6]}


def start(cluster: World, document: Path, **options: Any) -> str:
    """Start a run whose first steps are queued."""
    run = cluster.start(document, INPUTS, **options)
    cluster.deliver(cluster.take())
    return run


def while_runs(cluster: World, run: str, path: str, do: Callable[[], Any]) -> dict[str, str]:
    """Deliver a step's message; do something while its tool runs, and return what its worker is told then."""
    told: dict[str, str] = {}
    attempt = next(a.id for a in cluster.attempts(run, path))

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        do()
        with cluster.engine.database.read() as connection:
            told.update(leases.unwanted(connection, [attempt], cluster.engine.owner))
        if told:
            cluster.token.cancel(told[attempt])
        return add(words)

    cluster.play = play
    cluster.deliver(cluster.take(next(n for n, m in enumerate(cluster.pending) if m.name == attempt)))
    cluster.play = add
    return told


def by_hand(cluster: World, statement: str, **values: Any) -> None:
    with cluster.engine.database.begin() as connection:
        assert connection.execute(text(statement), values).rowcount >= 1


# --- by command ----------------------------------------------------------------------------------------


def test_a_queued_step_never_starts_and_stop_ends_the_run(cluster: World, document: Path) -> None:
    run = start(cluster, document)
    assert cancel_step(cluster.engine, run, "l", "a reason") == "FAILED"
    cluster.repair(run)
    assert (cluster.run(run).state, cluster.started) == ("FAILED", [])
    assert cluster.run(run).error["message"] == "'l' was cancelled: a reason"
    assert cluster.ended == [run]


def test_continue_does_what_does_not_need_it(cluster: World, document: Path) -> None:
    run = start(cluster, document, on_error="continue")
    cancel_step(cluster.engine, run, "l")
    cluster.repair(run)
    row = cluster.run(run)
    assert (row.state, row.outputs) == ("FAILED", {"l": None, "after": None, "each": [1, 2, 3, 4, 5, 6], "r": 1})
    assert cluster.nodes(run)["after"] == "UPSTREAM_FAILED"


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_running_one_is_stopped_and_not_tried_again(cluster: World, document: Path, on_error: str) -> None:
    run = start(cluster, document, on_error=on_error)
    told = while_runs(cluster, run, "l", lambda: cancel_step(cluster.engine, run, "l"))
    assert list(told.values()) == ["the step is FAILED"] or "run is" in next(iter(told.values()))
    cluster.repair(run)
    assert cluster.run(run).state == "FAILED"
    made = cluster.attempts(run, "l")
    assert [a.number for a in made] == [1]
    assert "was cancelled" in cluster.run(run).error["message"]


@pytest.mark.parametrize("path", ["each", "each[1]", "each[1]/in"])
def test_a_scatter_with_all_its_parts_or_one_of_them(cluster: World, document: Path, path: str) -> None:
    run = start(cluster, document, on_error="continue")
    cluster.deliver(cluster.take())
    assert cancel_step(cluster.engine, run, path) == "FAILED"
    cluster.repair(run)
    assert cluster.run(run).outputs["r"] == 1
    good = {a.path for a in cluster.attempts(run) if a.outcome == "success" and a.path.startswith("each")}
    spared = set() if path == "each" else {f"each[{n}]/in" for n in (0, 2, 3, 4, 5)}
    assert good >= spared and "each[1]/in" not in good
    assert "was cancelled" in cluster.run(run).error["message"]


def test_twice_ended_or_unknown_is_no_error(cluster: World, document: Path) -> None:
    run = start(cluster, document, on_error="continue")
    assert cancel_step(cluster.engine, run, "nothing") is None
    assert cancel_step(cluster.engine, "nobody", "l") is None
    assert cancel_step(cluster.engine, run, "l") == cancel_step(cluster.engine, run, "l") == "FAILED"
    cluster.repair(run)
    assert cancel_step(cluster.engine, run, "r") == "SUCCESS"
    assert cancel_step(cluster.engine, run, "l") == "FAILED"


def test_the_whole_of_a_run_by_its_root(cluster: World, document: Path) -> None:
    run = start(cluster, document)
    cancel_step(cluster.engine, run, "")
    cluster.repair(run)
    assert (cluster.run(run).state, cluster.started) == ("FAILED", [])


# --- by hand -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_was_set_to_an_end(cluster: World, document: Path, state: str) -> None:
    run = start(cluster, document)
    told = while_runs(
        cluster, run, "l", lambda: by_hand(cluster, "UPDATE runs SET state = :s WHERE id = :r", s=state, r=run)
    )
    assert list(told.values()) == [f"the run is {state}"]
    cluster.drain()
    cluster.scan(1)
    cluster.drain()
    cluster.scan()
    row = cluster.run(run)
    assert (row.state, row.ended is not None) == (state, True)
    assert f"was set {state} in the database" in row.error["message"]
    assert len(cluster.started) == 1, "what was queued never started"
    assert not {"READY", "QUEUED", "RUNNING", "PENDING"} & set(cluster.nodes(run).values())
    assert cluster.ended == [run]


def test_a_run_that_was_set_canceling(cluster: World, document: Path) -> None:
    run = start(cluster, document)
    by_hand(cluster, "UPDATE runs SET state = 'CANCELING'")
    cluster.scan()
    assert (cluster.run(run).state, cluster.started) == ("CANCELED", [])


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_step_that_was_set_to_an_end(cluster: World, document: Path, state: str) -> None:
    run = start(cluster, document, on_error="continue")
    statement = "UPDATE nodes SET state = :s WHERE run_id = :r AND path = 'l'"
    told = while_runs(cluster, run, "l", lambda: by_hand(cluster, statement, s=state, r=run))
    assert list(told.values()) == [f"the step is {state}"]
    cluster.drain()
    cluster.scan(1)
    cluster.repair(run)
    row = cluster.run(run)
    assert (row.state, row.outputs["r"], row.outputs["after"]) == ("FAILED", 1, None)
    assert f"'l' was set {state} in the database" in row.error["message"]
    assert [a.number for a in cluster.attempts(run, "l")] == [1]


@pytest.mark.parametrize(("state", "end"), [("CANCELED", "FAILED"), ("LOST", "SUCCESS"), ("SETTLED", "FAILED")])
def test_an_attempt_that_was_set_to_an_end(cluster: World, document: Path, state: str, end: str) -> None:
    run = start(cluster, document, on_error="continue")
    statement = "UPDATE attempts SET state = :s WHERE run_id = :r AND path = 'l'"
    by_hand(cluster, statement, s=state, r=run)
    cluster.drain()
    cluster.scan()
    cluster.repair(run)
    assert (cluster.run(run).state, cluster.nodes(run)["l"]) == (end, end)
    assert cluster.run(run).outputs["r"] == 1
