"""A worker starts what a plain step makes ready; the message that settles the step finds it done, or does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celeriac.resources import Budget
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, add, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home") as made:
        made.go_on = True
        yield made


def _chain(directory: Path) -> Path:
    steps = {"a": step(tool("n"), {"n": "n"}), "b": step(tool("n"), {"n": "a/out"})}
    return write(directory, workflow({"n": "int"}, steps, {"o": output("b/out")}))


def _kinds(cluster: World) -> list[str]:
    return [message.kind for message in cluster.pending]


def test_the_next_step_is_on_its_way_before_the_first_is_settled_by_message(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(_chain(tmp_path), {"n": 1})
    cluster.deliver(cluster.take())  # the run's first turn
    cluster.deliver(cluster.take())  # a
    assert cluster.nodes(run) == {"": "RUNNING", "a": "SUCCESS", "b": "QUEUED"}
    assert _kinds(cluster) == ["execute"], "nothing is left for a message that would settle it"
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 1}
    assert len(cluster.started) == 2 and cluster.ended == [run]


def test_the_message_that_settles_ends_the_run(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(_chain(tmp_path), {"n": 1})
    for _ in range(2):
        cluster.deliver(cluster.take())
    cluster.deliver(cluster.take(_kinds(cluster).index("execute")))
    assert cluster.nodes(run)[""] == "SUCCESS" and not cluster.over(run), "a step's process publishes no outputs"
    cluster.drain()
    assert cluster.run(run).state == "SUCCESS"


def test_a_failed_step_is_left_to_its_message(tmp_path: Path) -> None:
    def fail(words: object) -> str:
        raise Exit(1)

    with world(tmp_path / "home", fail) as cluster:
        cluster.go_on = True
        run = cluster.start(_chain(tmp_path), {"n": 1})
        for _ in range(2):
            cluster.deliver(cluster.take())
        assert cluster.nodes(run)["a"] == "QUEUED" and _kinds(cluster) == ["settle"]
        cluster.drain()
        assert cluster.run(run).state == "FAILED"


def test_an_item_is_left_to_its_chord(tmp_path: Path) -> None:
    each = step(tool("a"), {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"s": each}, {"o": output("s/out")}, SCATTER))
    with world(tmp_path / "home") as cluster:
        cluster.go_on = True
        cluster.engine.presence.describe("worker", Budget(8, 8192), 8, {"default": 8})  # so that chords are wide
        cluster.engine.presence.tell()
        run = cluster.start(document, {"n": [1, 2]})
        for _ in range(2):
            cluster.deliver(cluster.take())
        assert [a.state for a in cluster.attempts(run) if a.outcome] == ["REPORTED"]
        cluster.drain()
        assert cluster.run(run).outputs == {"o": [1, 2]}


def test_a_broker_that_is_away_then_costs_no_outputs(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(_chain(tmp_path), {"n": 1})
    cluster.deliver(cluster.take())
    message = cluster.take()
    cluster.broker_is_down = True
    cluster.deliver(message)
    cluster.broker_is_down = False
    assert cluster.nodes(run)["b"] == "QUEUED" and cluster.attempts(run, "a")[0].state == "SETTLED"
    cluster.repair(run)
    assert cluster.run(run).outputs == {"o": add(["1"])["out"]}
    assert len(cluster.started) == 2
