"""Workers that die, come back, or lose the journal: leases, the fence, and the next attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from celeriac.engine.scan import scan
from celeriac.errors import BrokerUnavailable
from celeriac.journal import attempts as tries
from celeriac.journal import leases, nodes, outbox, queued
from celeriac.journal.tables import attempts
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import INTERVAL, LEASE, World, add, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home") as made:
        made.workers.append(made.worker())
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))


@pytest.fixture
def run(cluster: World, document: Path) -> str:
    """A run whose only step is queued."""
    run = cluster.start(document, {"x": 5})
    cluster.deliver(cluster.take())
    return run


def _while_it_runs(cluster: World, do: Callable[[], None]) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        do()
        return add(words)

    cluster.play = play


def test_a_lost_worker_s_step_goes_to_attempt_two(cluster: World, run: str) -> None:
    message = cluster.take()
    with cluster.engine.database.begin() as connection:
        assert tries.claim(connection, [message.name], "dead:1:x", "dead", LEASE)
    cluster.scan(LEASE - 10)
    assert cluster.pending == [], "its lease still holds"
    cluster.scan(20)
    cluster.drain()
    made = cluster.attempts(run, "s")
    assert [(a.number, a.state) for a in made] == [(1, "LOST"), (2, "SETTLED")]
    assert cluster.run(run).outputs == {"o": 5}


def test_a_step_whose_workers_all_die_fails_with_the_cause(cluster: World, run: str) -> None:
    for _ in range(3):
        message = cluster.take()
        with cluster.engine.database.begin() as connection:
            tries.claim(connection, [message.name], "dead:1:x", "dead", LEASE)
        cluster.scan()
    row = cluster.run(run)
    assert row.state == "FAILED"
    assert "'s' was lost 3 times" in row.error["message"]
    assert row.error["type"] == "WorkerLost" and row.error["hint"]
    assert cluster.ended == [run]


@pytest.mark.parametrize("here", [True, False], ids=["on this host", "on another"])
def test_what_a_dead_worker_left_is_ended_first(
    cluster: World, run: str, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = cluster.workers[1]
    ended: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(second.jobs, "clear", lambda name: not ended.append((name, list(cluster.started))))
    first = cluster.take().name
    with cluster.engine.database.begin() as connection:
        tries.claim(connection, [first], "dead:1:x", second.host if here else "elsewhere", LEASE)
    cluster.scan(worker=second)
    cluster.deliver(cluster.take(), second)
    assert ended == ([(first, [])] if here else []), "before the tool of the next attempt is started"
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}


def test_the_report_of_a_lost_attempt_is_refused(cluster: World, run: str) -> None:
    first, second = cluster.workers

    def meanwhile() -> None:
        cluster.scan(worker=second)  # the first worker looks dead from here
        cluster.drain()

    _while_it_runs(cluster, meanwhile)
    message = cluster.take()
    cluster.deliver(message, first)
    cluster.drain()
    made = cluster.attempts(run, "s")
    assert [(a.number, a.state, a.outcome) for a in made] == [(1, "LOST", None), (2, "SETTLED", "success")]
    assert cluster.run(run).outputs == {"o": 5}
    left = sorted(path.name for path in (cluster.home / "runs" / run).glob("s-*"))
    assert left == [f"s-{made[1].id[:13]}"], "the late attempt's files are removed"


def test_a_worker_that_lost_its_lease_is_told_to_stop(cluster: World, run: str) -> None:
    first, second = cluster.workers
    attempt = cluster.attempts(run)[0].id
    with first.database.begin() as connection:
        tries.claim(connection, [attempt], first.owner, "host", LEASE)
        assert leases.unwanted(connection, [attempt], first.owner) == {}
    cluster.scan(worker=second)
    with first.database.read() as connection:
        assert "lease" in leases.unwanted(connection, [attempt], first.owner)[attempt]


def test_a_tool_stopped_by_its_own_worker_is_tried_again(cluster: World, run: str) -> None:
    # the worker ends, or can't reach the journal for too long: nobody cancelled the run
    _while_it_runs(cluster, lambda: cluster.engine.leases.stop_all("this worker ends"))
    cluster.drain()
    row = cluster.run(run)
    assert (row.state, row.outputs) == ("SUCCESS", {"o": 5}), cluster.table(run)
    assert [a.number for a in cluster.attempts(run, "s")] == [1, 2]


def test_a_lost_message_is_sent_again(cluster: World, run: str) -> None:
    cluster.take()
    cluster.scan()
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}
    assert [a.number for a in cluster.attempts(run, "s")] == [1], "no attempt is used up by it"


def test_a_step_that_waits_long_in_its_queue_is_not_sent_again_at_every_scan(cluster: World, run: str) -> None:
    del cluster.pending[:]
    cluster.scan(LEASE + 10)
    for _ in range(100):  # ten more leases: the queue is long, nothing is lost
        cluster.scan(INTERVAL)
    assert 1 <= len(cluster.pending) <= 5, "the copies grow with the logarithm of the time"
    cluster.drain()
    assert len(cluster.started) == 1


def test_all_lost_messages_come_again_though_there_are_many(cluster: World, tmp_path: Path) -> None:
    each = step(tool("a"), {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"each": each}, {"o": output("each/out")}, SCATTER), "s.cwl")
    run = cluster.start(document, {"n": list(range(300))})
    cluster.engine.fair = False
    cluster.engine.at_once = 150
    cluster.deliver(cluster.take())
    del cluster.pending[:]
    cluster.scan()
    cluster.scan(INTERVAL)
    assert len({message.name for message in cluster.pending}) == 300
    cluster.drain()
    assert cluster.run(run).outputs == {"o": list(range(300))}


def test_a_crash_before_the_outputs_were_published_is_repaired(
    cluster: World, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(engine: Any, run: str) -> None:
        raise SystemExit("the process dies between two commits")

    with monkeypatch.context() as patch:
        patch.setattr("celeriac.engine.advance.finish", die)
        with pytest.raises(SystemExit):
            cluster.drain()
    assert cluster.run(run).state == "RUNNING"
    cluster.repair(run)
    assert cluster.run(run).outputs == {"o": 5}
    assert cluster.ended == [run]


def test_what_the_outbox_holds_is_sent_after_a_crash(cluster: World, document: Path) -> None:
    cluster.broker_is_down = True
    with pytest.raises(BrokerUnavailable):
        cluster.start(document, {"x": 3})
    cluster.broker_is_down = False
    assert cluster.pending == []
    cluster.scan(INTERVAL + 1)
    cluster.drain()
    assert [row.outputs for row in map(cluster.run, cluster.ended)] == [{"o": 3}]
    with cluster.engine.database.read() as connection:
        assert outbox.overdue(connection, -1) == []


def test_one_run_that_can_not_be_repaired_holds_up_no_other(
    cluster: World, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, fine = cluster.start(document, {"x": 1}), cluster.start(document, {"x": 2})
    del cluster.pending[:]
    publish = cluster.publish

    def picky(run: str, kind: str, payload: dict[str, Any]) -> None:
        if run == stuck:
            raise KeyError("a queue that is no longer there")
        publish(run, kind, payload)

    monkeypatch.setattr(cluster, "publish", picky)
    for _ in range(5):
        cluster.age(LEASE + 10)
        scan(cluster.engine)
        cluster.drain()
    assert cluster.run(fine).state == "SUCCESS"


def test_a_lease_is_renewed_and_only_for_its_owner(cluster: World, run: str) -> None:
    attempt = cluster.attempts(run)[0].id
    with cluster.engine.database.begin() as connection:
        tries.claim(connection, [attempt], "me", "host", 10.0)
        connection.execute(update(attempts).values(lease=0.0))
        leases.renew(connection, [attempt], "somebody else", 10.0)
        leases.renew(connection, ["another"], "me", 10.0)
        assert [row.id for row in leases.expire(connection, run)] == [attempt]
        leases.renew(connection, [attempt], "me", 10.0)
        assert leases.expire(connection, run) == []
        assert not _report(connection, attempt), "what is lost stays lost"
        assert nodes.states(connection, run, ["s"]) == {"s": "QUEUED"}


def _report(connection: Any, attempt: str) -> bool:
    report = tries.Report(
        attempt, outcome="success", exit_code=0, outputs={"out": 1}, error=None,
        directory="/", peak_memory=None, cpu_seconds=None,
    )  # fmt: skip
    return tries.report(connection, "me", [report]) == {attempt}


# --- messages that were lost after a long time ----------------------------------------------------------


def _waited(cluster: World, run: str, seconds: float) -> None:
    """Have a run's attempts wait for so long, with scans all the time."""
    for _ in range(round(seconds / INTERVAL)):
        cluster.scan(INTERVAL)


def test_what_is_lost_after_long_is_found_at_once_where_the_broker_tells_that_it_is_empty(
    cluster: World, run: str
) -> None:
    cluster.broker_tells = True
    waiting = list(cluster.pending)
    _waited(cluster, run, 50 * LEASE)
    assert len(cluster.pending) <= 10 * len(waiting), "what waits in a queue is sent again seldom"
    del cluster.pending[:]
    cluster.scan(INTERVAL)
    assert {message.name for message in cluster.pending} == {message.name for message in waiting}
    cluster.drain()
    assert cluster.over(run)


def test_where_it_does_not_tell_it_is_found_after_ten_leases(cluster: World, run: str) -> None:
    _waited(cluster, run, 50 * LEASE)
    del cluster.pending[:]
    _waited(cluster, run, 11 * LEASE)
    cluster.drain()
    assert cluster.over(run)


def test_what_a_worker_has_in_hand_is_not_lost(cluster: World, run: str) -> None:
    cluster.broker_tells = True
    held = [message.name for message in cluster.pending]
    del cluster.pending[:]
    for _ in range(30):
        with cluster.engine.database.begin() as connection:
            for name in held:
                queued.hold(connection, [name], "somebody", LEASE)
        cluster.scan(INTERVAL)
    assert not cluster.pending
    cluster.scan(LEASE + INTERVAL)  # the worker died with it
    assert {message.name for message in cluster.pending} == set(held)
