"""The heartbeat: leases that are renewed, cancels that arrive, and a journal that is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from celeriac.engine.cancel import cancel
from celeriac.engine.lease import Leases
from celeriac.errors import Cancelled, JournalUnavailable
from celeriac.journal import attempts as tries
from celeriac.journal import leases
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import World, add, world

HANG = 30.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", heartbeat=0.05, cancel_poll=0.02) as made:
        yield made


@pytest.fixture
def run(cluster: World, tmp_path: Path) -> str:
    """A run whose only step is queued."""
    document = write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))
    run = cluster.start(document, {"x": 5})
    cluster.deliver(cluster.take())
    return run


def _until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come")


def _play(cluster: World, do: Callable[[], None]) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        do()
        return add(words)

    cluster.play = play


def test_a_lease_is_renewed_while_the_tool_runs(cluster: World, run: str) -> None:
    def meanwhile() -> None:
        first = cluster.attempts(run)[0].lease
        _until(lambda: cluster.attempts(run)[0].lease > first)

    _play(cluster, meanwhile)
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}


def test_a_fault_of_our_own_does_not_end_the_heartbeat(
    cluster: World, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwanted, faults = leases.unwanted, [ZeroDivisionError("a bug")]

    def broken(*arguments: Any) -> dict[str, str]:
        if faults:
            raise faults.pop()
        return unwanted(*arguments)

    monkeypatch.setattr(leases, "unwanted", broken)
    test_a_lease_is_renewed_while_the_tool_runs(cluster, run)
    assert not faults


def test_what_this_process_claimed_but_does_not_run_is_not_renewed(cluster: World, run: str) -> None:
    # its report could not be written, say: nobody would ever run it again
    with cluster.engine.database.begin() as connection:
        tries.claim(connection, ["unknown"], cluster.engine.owner, "host", 1000.0)
        name = cluster.attempts(run)[0].id
        tries.claim(connection, [name], cluster.engine.owner, "host", 1000.0)
    before = cluster.attempts(run)[0].lease
    beats = threading.Semaphore(0)
    renew = leases.renew

    def counted(*arguments: Any) -> None:
        renew(*arguments)
        beats.release()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "renew", counted)
        cluster.engine.leases.watch("something else")
        assert all(beats.acquire(timeout=HANG) for _ in range(3))
        cluster.engine.leases.release("something else")
    assert cluster.attempts(run)[0].lease == before


def test_a_cancel_reaches_the_tool(cluster: World, run: str) -> None:
    def meanwhile() -> None:
        assert cancel(cluster.engine, run) == "CANCELING"
        assert cluster.token.wait(HANG), "the tool was not told"
        raise Cancelled("as a runner does")

    _play(cluster, meanwhile)
    cluster.drain()
    assert cluster.run(run).state == "CANCELED"


def test_a_report_waits_for_a_journal_that_is_away_for_a_moment(
    cluster: World, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, failures = tries.report, [JournalUnavailable("away")] * 3

    def flaky(*arguments: Any) -> set[str]:
        if failures:
            raise failures.pop()
        return report(*arguments)

    monkeypatch.setattr(tries, "report", flaky)
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}
    assert [a.number for a in cluster.attempts(run)] == [1], "its work is not done again"


class Clock:
    """Stands in for the time module."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("celeriac.engine.lease.time", made)
    return made


@pytest.fixture
def asked(cluster: World, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """The journal is away; released each time that the heartbeat noticed it."""
    made = threading.Semaphore(0)

    def away(self: Leases, running: Any) -> None:
        made.release()
        raise JournalUnavailable("away")

    monkeypatch.setattr(Leases, "_ask", away)
    return made


def test_tools_are_stopped_when_the_journal_is_away_for_too_long(
    cluster: World, clock: Clock, asked: threading.Semaphore
) -> None:
    token = cluster.engine.leases.watch("attempt")
    for _ in range(3):
        assert asked.acquire(timeout=HANG)
    assert not token.cancelled, "a moment is nothing"
    clock.now += cluster.engine.settings.lease * 0.7
    assert token.wait(HANG)
    assert "journal" in token.reason
    cluster.engine.leases.release("attempt")


def test_a_tool_that_starts_after_a_pause_is_not_stopped_at_the_first_trouble(
    cluster: World, clock: Clock, asked: threading.Semaphore
) -> None:
    leases = cluster.engine.leases
    leases.watch("first")
    assert asked.acquire(timeout=HANG)
    leases.release("first")
    time.sleep(0.2)  # the heartbeat sees that nothing runs
    clock.now += cluster.engine.settings.lease * 0.9
    token = leases.watch("second")
    for _ in range(20):
        assert asked.acquire(timeout=HANG)
    assert not token.cancelled, "it was claimed just now"
    leases.release("second")


def test_who_is_closed_watches_no_more_but_what_still_runs(cluster: World) -> None:
    own = cluster.engine.leases
    own.watch("one")
    thread = own._thread
    assert thread is not None and thread.is_alive()
    cluster.engine.close()
    assert not _ended(thread, 0.2), "one runs still"
    own.release("one")
    cluster.engine.close()
    assert _ended(thread, HANG)
    own.watch("two")
    assert own._thread is not None and own._thread is not thread and own._thread.is_alive()


def _ended(thread: threading.Thread, seconds: float) -> bool:
    thread.join(seconds)
    return not thread.is_alive()
