"""Cancel: what waits never starts, what runs is told to stop, and to cancel again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from celeriac.engine.cancel import cancel
from celeriac.engine.outcome import outcome
from celeriac.errors import Cancelled, RunCancelled
from celeriac.journal import attempts as tries
from celeriac.journal import leases, runs
from celeriac.states import RunState
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import LEASE, World, add, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", scatter_window=4, scatter_width=2) as made:
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    steps = {
        "each": step(tool("a"), {"a": "n"}, scatter="a"),
        "after": step(tool("a", kind="int[]"), {"a": "each/out"}),
    }
    return write(tmp_path, workflow({"n": "int[]"}, steps, {"o": output("after/out")}, SCATTER))


def _while_one_runs(cluster: World, do: Callable[[], Any]) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        do()
        return add(words)

    cluster.play = play


def test_before_its_first_message_arrived(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": [1]})
    assert cancel(cluster.engine, run) == "CANCELED"
    cluster.drain()
    assert (cluster.run(run).state, cluster.nodes(run), cluster.started) == ("CANCELED", {}, [])
    assert cluster.ended == [run]


def test_while_its_steps_are_queued(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": list(range(9))})
    cluster.deliver(cluster.take())
    assert cancel(cluster.engine, run, "a reason") == "CANCELED"
    messages = list(cluster.pending)
    cluster.drain()
    for message in messages:  # doubled, and late
        cluster.deliver(message)
    cluster.scan()
    cluster.drain()
    assert cluster.started == []
    assert set(cluster.nodes(run).values()) == {"CANCELED"}
    assert {a.state for a in cluster.attempts(run)} == {"CANCELED"}
    assert cluster.run(run).error["message"] == "the run was cancelled: a reason"
    assert cluster.ended == [run]


def test_while_a_tool_runs(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": list(range(9))})
    cluster.deliver(cluster.take())
    seen = []

    def meanwhile() -> None:
        seen.append(cancel(cluster.engine, run))
        seen.append(cancel(cluster.engine, run))
        raise Cancelled("as the runner does when its token is set")

    _while_one_runs(cluster, meanwhile)
    cluster.deliver(cluster.take())
    cluster.drain()
    cluster.repair(run)  # the chord's other parts never ran: its body may not come
    assert seen == ["CANCELING", "CANCELING"]
    assert cluster.run(run).state == "CANCELED"
    assert len(cluster.started) == 1
    assert sorted(a.outcome or "-" for a in cluster.attempts(run)) == ["-", "-", "-", "canceled"]
    assert cluster.ended == [run]
    with pytest.raises(RunCancelled):
        outcome(cluster.engine, run)


def test_the_running_tool_is_told(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": [1]})
    cluster.deliver(cluster.take())
    attempt = cluster.attempts(run)[0].id
    with cluster.engine.database.begin() as connection:
        tries.claim(connection, [attempt], "me", "host", LEASE)
    assert cancel(cluster.engine, run) == "CANCELING"
    with cluster.engine.database.read() as connection:
        assert leases.unwanted(connection, [attempt], "me") == {attempt: "the run is CANCELING"}


def test_a_tool_that_ends_well_just_then_changes_nothing(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": [1]})
    cluster.deliver(cluster.take())
    _while_one_runs(cluster, lambda: cancel(cluster.engine, run))
    cluster.drain()
    assert cluster.run(run).state == "CANCELED"
    assert cluster.nodes(run)["each[0]"] == "SUCCESS"
    assert "after" not in cluster.nodes(run)
    assert len(cluster.started) == 1


def test_while_the_worker_of_its_tool_is_dead(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": [1]})
    cluster.deliver(cluster.take())
    with cluster.engine.database.begin() as connection:
        tries.claim(connection, [cluster.attempts(run)[0].id], "dead", "host", LEASE)
    assert cancel(cluster.engine, run) == "CANCELING"
    cluster.scan()
    assert cluster.run(run).state == "CANCELED"
    assert [(a.number, a.state) for a in cluster.attempts(run)] == [(1, "LOST")]
    assert cluster.ended == [run]


def test_an_attempt_claimed_in_the_moment_of_the_cancel_does_not_run(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": [1]})
    cluster.deliver(cluster.take())
    with cluster.engine.database.begin() as connection:  # the cancel that did not see it queued
        runs.change(connection, run, RunState.RUNNING, RunState.CANCELING)
    cluster.drain()
    assert cluster.started == []
    assert cluster.run(run).state == "CANCELED"


@pytest.mark.parametrize("numbers", [[1, 2], [1, 13]])
def test_what_has_ended_stays_as_it_is(cluster: World, document: Path, numbers: list[int]) -> None:
    row = cluster.finished(document, {"n": numbers})
    assert cancel(cluster.engine, row.id) == row.state == "SUCCESS"
    assert cluster.run(row.id) == row
    assert cluster.ended == [row.id]


def test_twice_is_the_same_as_once(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"n": [1]})
    assert [cancel(cluster.engine, run) for _ in range(2)] == ["CANCELED", "CANCELED"]
    assert cluster.ended == [run]


def test_an_unknown_run_is_none(cluster: World) -> None:
    assert cancel(cluster.engine, "unknown") is None
    assert cluster.ended == []


def test_who_waits_for_the_outputs_is_told(cluster: World, document: Path) -> None:
    submission = cluster.check(document, {"n": [1]})
    run = cluster.submit(submission, reply={"task_id": "t"})
    cancel(cluster.engine, run)
    assert [(kind, payload) for _, kind, payload in cluster.sent if kind == "reply"] == [("reply", {"task_id": "t"})]
