"""A worker that ends: what it runs is handed back and counts for nothing, what comes to it goes to others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from celeriac.engine.cancel import cancel
from celeriac.engine.execute import execute
from celeriac.errors import Cancelled
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import World, add, world

HANG = 30.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", cancel_poll=0.02) as made:
        made.workers.append(made.worker())
        yield made


@pytest.fixture
def run(cluster: World, tmp_path: Path) -> str:
    """A run whose only step is queued."""
    document = write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))
    run = cluster.start(document, {"x": 5})
    cluster.deliver(cluster.take())
    return run


def _stopped(cluster: World, do: Callable[[], object]) -> None:
    """Have the tool wait until it is stopped, after ``do``; from then on it adds."""

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        do()
        assert cluster.token.wait(HANG), "the tool was not told"
        raise Cancelled("as a runner does")

    cluster.play = play


def _outcomes(cluster: World, run: str) -> list[tuple[str, str | None]]:
    return [(a.state, a.outcome) for a in cluster.attempts(run, "s")]


@pytest.mark.parametrize("way", ["hand_back", "leave", "end"])
def test_what_a_worker_stops_because_it_ends_is_run_by_another(cluster: World, run: str, way: str) -> None:
    first, second = cluster.workers
    leases = first.leases
    _stopped(cluster, {"hand_back": leases.hand_back, "leave": leases.leave, "end": lambda: leases.end("bye")}[way])
    cluster.deliver(cluster.take(), first)
    assert leases.handing_back and leases.ending
    while cluster.pending:
        cluster.deliver(cluster.take(), second)
    assert _outcomes(cluster, run) == [("SETTLED", "handedBack"), ("SETTLED", "success")]
    error = cluster.attempts(run, "s")[0].error
    assert "handed back" in error["message"]
    assert ("bye" if way == "end" else str(os.getpid())) in error["message"], "it says who ended"


def test_it_counts_for_nothing(cluster: World, run: str) -> None:
    for _ in range(10):  # more than the cap of any cause
        worker = cluster.worker()
        _stopped(cluster, worker.leases.hand_back)
        cluster.deliver(cluster.take(), worker)  # the step
        cluster.deliver(cluster.take(), cluster.workers[1])  # its end: the next attempt goes out
    while cluster.pending:
        cluster.deliver(cluster.take(), cluster.workers[1])
    assert cluster.run(run).outputs == {"o": 5}
    assert _outcomes(cluster, run) == [("SETTLED", "handedBack")] * 10 + [("SETTLED", "success")]


def test_a_cancel_is_a_cancel_though_the_worker_ends(cluster: World, run: str) -> None:
    def both() -> None:
        cancel(cluster.engine, run)
        assert cluster.token.wait(HANG)
        cluster.engine.leases.hand_back()

    _stopped(cluster, both)
    cluster.drain()
    assert cluster.run(run).state == "CANCELED"
    assert _outcomes(cluster, run) == [("SETTLED", "canceled")]


def test_a_run_that_is_cancelled_while_its_worker_hands_back_ends_cancelled(cluster: World, run: str) -> None:
    def both() -> None:
        cluster.engine.leases.end("bye")
        cancel(cluster.engine, run)

    _stopped(cluster, both)
    cluster.drain()
    assert cluster.run(run).state == "CANCELED"


def test_a_worker_that_takes_no_more_passes_on_what_comes(cluster: World, run: str) -> None:
    cluster.engine.leases.take_no_more()
    message = cluster.take()
    assert execute(cluster.engine, message.names) == {}
    assert cluster.started == [] and not cluster.engine.leases.handing_back
    assert [(m.kind, m.name) for m in cluster.pending] == [("execute", message.name)]
    while cluster.pending:
        cluster.deliver(cluster.take(), cluster.workers[1])
    assert cluster.run(run).outputs == {"o": 5}
    assert [a.number for a in cluster.attempts(run)] == [1]


def test_what_another_has_claimed_is_not_passed_on(cluster: World, run: str) -> None:
    cluster.engine.leases.take_no_more()
    message = cluster.take()
    cluster.deliver(message, cluster.workers[1])
    cluster.pending.clear()
    assert execute(cluster.engine, message.names) == {}
    assert cluster.pending == []


def test_an_embedded_run_has_nobody_to_pass_it_on_to(tmp_path: Path) -> None:
    document = write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))
    with world(tmp_path / "home", fair=False) as alone:
        alone.start(document, {"x": 5})
        alone.deliver(alone.take())
        message = alone.take()
        alone.engine.leases.take_no_more()
        assert execute(alone.engine, message.names) == {} and alone.pending == []


def test_what_a_broker_does_not_take_is_in_the_outbox(cluster: World, run: str) -> None:
    cluster.engine.leases.take_no_more()
    message = cluster.take()
    cluster.broker_is_down = True
    assert execute(cluster.engine, message.names) == {}
    cluster.broker_is_down = False
    cluster.scan(worker=cluster.workers[1])
    assert ("execute", message.name) in [(m.kind, m.name) for m in cluster.pending]


def test_children_hear_it_from_their_parent(cluster: World) -> None:
    leases = cluster.engine.leases
    read, write = os.pipe()
    child = os.fork()
    if not child:
        asked = threading.Event()
        while not leases.handing_back:
            asked.wait(0.01)
        os.write(write, b"heard")
        os._exit(0)
    leases.hand_back()
    assert os.read(read, 5) == b"heard"
    os.waitpid(child, 0)
    os.close(read), os.close(write)


def test_what_one_child_is_told_is_not_said_to_the_others(cluster: World) -> None:
    leases = cluster.engine.leases
    child = os.fork()
    if not child:
        leases.leave()
        os._exit(0)
    os.waitpid(child, 0)
    assert not leases.handing_back and not leases.ending
