"""Several items in one message: each is an attempt of its own, with its own outcome and its own next attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.engine.cancel import cancel
from celeriac.engine.execute import execute
from celeriac.errors import KilledFromOutside
from celeriac.journal import attempts
from celeriac.resources import Budget
from celeriac.slots import Unbounded, attempts_of, bundle_name
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, Message, World, add, world

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
ITEMS = 60


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", scatter_window=64, scatter_width=16, first_lane=1000) as made:
        _there(made)
        yield made


def _there(cluster: World) -> None:
    """Have two workers: one that tells what it runs at once, and another engine."""
    cluster.workers.append(cluster.worker())
    cluster.engine.presence.describe("worker", Budget(2, 2048), 2, {"default": 2})
    cluster.engine.presence.tell()
    cluster.takes = 0.001


def _wide(directory: Path) -> Path:
    each = step(tool("a"), {"a": "n"}, scatter="a")
    return write(directory, workflow({"n": "int[]"}, {"s": each}, {"o": output("s/out")}, SCATTER))


def _bundle(cluster: World, tmp_path: Path, **options: Any) -> tuple[str, Message]:
    """Go on till a message of several items comes; return the run and the message."""
    run = cluster.start(_wide(tmp_path), {"n": list(range(ITEMS))}, **options)
    for _ in range(200):
        for index, message in enumerate(cluster.pending):
            if len(message.names) >= 4:
                return run, cluster.take(index)
        cluster.deliver(cluster.take())
    raise AssertionError("all items go alone")


def _paths(cluster: World, run: str, names: Sequence[str]) -> dict[str, str]:
    by_id = {a.id: a.path for a in cluster.attempts(run)}
    return {by_id[name]: name for name in names}


def _number(path: str) -> str:
    return path.partition("[")[2].rstrip("]")


def test_short_items_go_together_and_each_is_an_attempt(cluster: World, tmp_path: Path) -> None:
    row = cluster.finished(_wide(tmp_path), {"n": list(range(ITEMS))})
    assert row.outputs == {"o": list(range(ITEMS))}
    bundles = [bundle for _, kind, payload in cluster.sent if kind == "chord" for bundle in payload["bundles"]]
    assert max(map(len, bundles)) == 16 and len(cluster.started) == ITEMS
    tries = cluster.attempts(row.id)
    assert len({a.id for a in tries}) == len({a.directory for a in tries}) == ITEMS
    assert {(a.number, a.state, a.outcome) for a in tries} == {(1, "SETTLED", "success")}


def test_the_first_items_go_alone(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(_wide(tmp_path), {"n": list(range(ITEMS))})
    cluster.deliver(cluster.take())
    assert [len(message.names) for message in cluster.pending] == [1] * 4, "nobody knows yet how long they take"
    assert cluster.run(run).state == "RUNNING"


def test_each_has_its_own_outcome(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path, on_error="continue")
    bad = _number(list(_paths(cluster, run, message.names))[1])
    cluster.play = _failing({bad: Exit(1, "bad")})
    cluster.deliver(message)
    outcomes = {a.id: a.outcome for a in cluster.attempts(run)}
    assert [outcomes[name] for name in message.names].count("permanentFail") == 1
    assert outcomes[message.names[1]] == "permanentFail" and outcomes[message.names[2]] == "success"
    cluster.drain()
    expected = [None if str(n) == bad else n for n in range(ITEMS)]
    assert cluster.run(run).outputs == {"o": expected}


def test_after_a_failure_that_stops_the_run_the_others_do_not_start(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path, on_error="stop")
    bad = _number(list(_paths(cluster, run, message.names))[1])
    cluster.play = _failing({bad: Exit(1, "bad")})
    before = len(cluster.started)
    cluster.deliver(message)
    assert len(cluster.started) == before + 2
    cluster.drain()
    assert cluster.run(run).state == "FAILED"
    assert set(cluster.nodes(run).values()) <= {"SUCCESS", "FAILED", "CANCELED"}


def test_one_that_is_tried_again_goes_alone(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path)
    unlucky = _number(list(_paths(cluster, run, message.names))[0])
    cluster.play = _failing({unlucky: KilledFromOutside("somebody else killed it")}, times=1)
    cluster.deliver(message)
    cluster.drain()
    assert cluster.run(run).outputs == {"o": list(range(ITEMS))}
    (second,) = (a for a in cluster.attempts(run) if a.number == 2)
    assert _number(second.path) == unlucky
    alone = [payload for _, kind, payload in cluster.sent if kind == "chain" and payload["attempt"] == second.id]
    assert len(alone) == 1


def test_outputs_that_the_journal_does_not_take_fail_their_own_item(
    cluster: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, message = _bundle(cluster, tmp_path, on_error="continue")
    bad = _number(list(_paths(cluster, run, message.names))[1])
    report = attempts.report

    def refuse(connection: Any, owner: str, reports: Sequence[attempts.Report]) -> set[str]:
        if {"out": int(bad)} in [one.outputs for one in reports]:
            raise ValueError("no database takes it")
        return report(connection, owner, reports)

    monkeypatch.setattr(attempts, "report", refuse)
    cluster.deliver(message)
    cluster.drain()
    failed = {a.path: a.error["message"] for a in cluster.attempts(run) if a.outcome != "success"}
    assert list(failed) == [f"s[{bad}]"] and "no database takes it" in failed[f"s[{bad}]"]
    assert cluster.run(run).outputs == {"o": [None if str(n) == bad else n for n in range(ITEMS)]}


def test_when_its_worker_dies_what_was_not_reported_is_done_again(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path)
    last = _number(list(_paths(cluster, run, message.names))[2])

    def die(words: Sequence[str]) -> Any:
        if words[0] == last:
            raise SystemExit("the process is killed")
        return add(words)

    cluster.play = die
    with pytest.raises(SystemExit):
        cluster.deliver(message)
    states = Counter(a.state for a in cluster.attempts(run) if a.id in message.names)
    assert states["RUNNING"] >= len(message.names) - 2, "claimed, and not reported"
    cluster.play = add
    cluster.repair(run)
    assert cluster.run(run).outputs == {"o": list(range(ITEMS))}
    assert {a.state for a in cluster.attempts(run) if a.id in message.names} <= {"LOST", "SETTLED"}


def test_when_its_worker_ends_the_rest_is_handed_back(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path)
    first = _number(list(_paths(cluster, run, message.names))[0])

    def end(words: Sequence[str]) -> Any:
        if words[0] == first:
            cluster.engine.leases.take_no_more()
        return add(words)

    cluster.play = end
    before = len(cluster.started)
    cluster.deliver(message)
    assert len(cluster.started) == before + 1, "what had begun goes on to its end"
    outcomes = {a.id: a.outcome for a in cluster.attempts(run)}
    assert [outcomes[name] for name in message.names] == ["success"] + ["handedBack"] * (len(message.names) - 1)
    while cluster.pending:
        cluster.deliver(cluster.take(), cluster.workers[1])
    assert cluster.run(run).outputs == {"o": list(range(ITEMS))}


def test_when_its_run_is_cancelled_the_rest_does_not_start(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path)
    cancel(cluster.engine, run)
    before = len(cluster.started)
    cluster.deliver(message)
    cluster.drain()
    assert len(cluster.started) == before and cluster.run(run).state == "CANCELED"


def test_a_message_that_comes_twice_is_done_once(cluster: World, tmp_path: Path) -> None:
    run, message = _bundle(cluster, tmp_path)
    cluster.deliver(message)
    before = len(cluster.started)
    assert execute(cluster.workers[1], message.names) == {}
    assert len(cluster.started) == before
    cluster.drain()
    assert cluster.run(run).outputs == {"o": list(range(ITEMS))}


def test_all_of_a_message_have_one_slot(cluster: World, tmp_path: Path) -> None:
    taken: list[str] = []

    class Slots(Unbounded):
        def take(self, name: str, *rest: Any) -> Any:
            taken.append(name)
            return super().take(name, *rest)

    _, message = _bundle(cluster, tmp_path)
    cluster.engine.slots = Slots()
    cluster.deliver(message)
    assert taken == [bundle_name(message.names)] and attempts_of(taken[0]) == list(message.names)


@given(data=st.data())
@FEW
def test_in_any_order_and_with_any_failures_each_item_has_one_outcome(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("home")
    bad = data.draw(st.sets(st.integers(0, ITEMS - 1), max_size=4), label="bad")
    order = data.draw(st.randoms(use_true_random=False), label="order")
    with world(home, _failing({str(n): Exit(1) for n in bad}), scatter_window=64, first_lane=1000) as cluster:
        _there(cluster)
        run = cluster.start(_wide(home), {"n": list(range(ITEMS))}, on_error="continue")
        while cluster.pending:
            cluster.takes = order.choice([0.0005, 0.01, 0.2])
            cluster.deliver(cluster.take(order.randrange(len(cluster.pending))), order.choice(cluster.workers))
        assert cluster.run(run).outputs == {"o": [None if n in bad else n for n in range(ITEMS)]}
        assert Counter(cluster.started) == Counter(a.id for a in cluster.attempts(run)), "each once"


def _failing(errors: dict[str, Exception], times: int = 1000) -> Any:
    left = Counter(dict.fromkeys(errors, times))

    def play(words: Sequence[str]) -> Any:
        if left[words[0]] > 0:
            left[words[0]] -= 1
            raise errors[words[0]]
        return add(words)

    return play
