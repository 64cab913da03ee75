"""Slots: a step waits for what it was granted before it claims its attempt, and always gives it back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from celeriac.engine.cancel import cancel
from celeriac.engine.execute import execute
from celeriac.errors import HostTooSmall, JournalUnavailable, KilledFromOutside, OutOfMemory, UnavailableError
from celeriac.journal import attempts as tries
from celeriac.journal.tables import attempts
from celeriac.resources import QueueLimits, Resources
from celeriac.slots import Slot, Unbounded
from celeriac.states import Outcome
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import QUEUES, Exit, World, add, world

HANG = 30.0


class Host:
    """Slots of one host in this process; ``meanwhile`` is what happens each time that something waits."""

    def __init__(self, cpus: float = 2, ram: int = 2048, gpus: tuple[str, ...] = ()) -> None:
        self.all = Resources(cpus, ram, len(gpus))
        self.ids = gpus
        self.taken: dict[str, Resources] = {}
        self.asked: list[tuple[str, Resources]] = []
        self.given_back: list[str] = []
        self.closed = False
        self.meanwhile: Callable[[], None] = lambda: pytest.fail("a step waits, and nothing will ever change that")

    def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
        self.asked.append((name, wanted))
        if not self._fits(wanted, []):
            raise HostTooSmall(f"{name} needs {wanted}, but this host has {self.all}")
        while not self._fits(wanted, list(self.taken.values())):
            self.meanwhile()
            if not still():
                return None
        self.taken[name] = wanted
        return Slot(self.ids[: wanted.gpus])

    def _fits(self, wanted: Resources, taken: Sequence[Resources]) -> bool:
        there = [wanted, *taken]
        return (
            sum(one.cpus for one in there) <= self.all.cpus
            and sum(one.ram for one in there) <= self.all.ram
            and sum(one.gpus for one in there) <= self.all.gpus
        )

    def give_back(self, name: str) -> None:
        self.given_back.append(name)
        self.taken.pop(name, None)

    def close(self) -> None:
        self.closed = True
        self.taken.clear()

    def fill(self) -> None:
        """Have another's step take all there is."""
        self.taken["another's"] = self.all


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def cluster(tmp_path: Path, host: Host) -> Iterator[World]:
    with world(tmp_path / "home", slots=host, cancel_poll=0.02) as made:
        made.workers.append(made.worker(slots=Unbounded()))  # on another host, which has all it wants
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))


def queued(cluster: World, document: Path) -> str:
    """Start a run; its only step is queued, and its message on its way."""
    run = cluster.start(document, {"x": 5})
    cluster.deliver(cluster.take())
    return run


def state(cluster: World, run: str) -> str:
    return str(cluster.attempts(run, "s")[-1].state)


# --- waiting -------------------------------------------------------------------------------------


def test_a_step_takes_what_it_was_granted_under_its_attempt_s_name(cluster: World, document: Path, host: Host) -> None:
    held: list[dict[str, Resources]] = []

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        held.append(dict(host.taken))
        return add(words)

    cluster.play = play
    row = cluster.finished(document, {"x": 5})
    (attempt,) = cluster.attempts(row.id)
    assert attempt.granted == {"cpus": 1, "ram": 1024, "gpus": 0}
    assert host.asked == [(attempt.id, Resources(1, 1024))]
    assert held == [{attempt.id: Resources(1, 1024)}], "it has that while its tool runs"
    assert host.taken == {} and row.outputs == {"o": 5}


def test_while_it_waits_it_is_queued_and_nothing_is_started(cluster: World, document: Path, host: Host) -> None:
    seen = []

    def meanwhile() -> None:
        seen.append((state(cluster, run), list(cluster.started)))
        if len(seen) == 3:
            host.give_back("another's")

    host.fill()
    host.meanwhile = meanwhile
    run = queued(cluster, document)
    cluster.drain()
    assert seen == [("QUEUED", [])] * 3
    assert cluster.run(run).outputs == {"o": 5}
    assert len(cluster.attempts(run)) == 1


def test_another_worker_may_have_it_meanwhile(cluster: World, document: Path, host: Host) -> None:
    host.fill()
    run = queued(cluster, document)
    message = cluster.take()
    host.meanwhile = lambda: cluster.deliver(message, cluster.workers[1])
    assert execute(cluster.engine, message.names) == {}
    assert cluster.started == [message.name]
    assert set(host.taken) == {"another's"}
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}
    assert [a.owner for a in cluster.attempts(run)] == [cluster.workers[1].owner]


def test_a_claim_that_comes_too_late_gives_back_what_it_took(cluster: World, document: Path, host: Host) -> None:
    """Another worker claims between the slot and the claim."""
    run = queued(cluster, document)
    message = cluster.take()

    class Slow(Host):
        def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
            found = super().take(name, wanted, still)
            cluster.deliver(message, cluster.workers[1])
            return found

    slow = Slow()
    engine = cluster.worker(slots=slow)
    cluster.workers.append(engine)
    assert execute(engine, message.names) == {}
    assert (slow.taken, slow.given_back) == ({}, [message.name])
    cluster.drain()
    assert cluster.started == [message.name] and cluster.run(run).state == "SUCCESS"


def test_what_is_cancelled_while_it_waits_never_starts(cluster: World, document: Path, host: Host) -> None:
    host.fill()
    run = queued(cluster, document)
    host.meanwhile = lambda: cancel(cluster.engine, run)  # type: ignore[assignment,return-value]
    cluster.drain()
    assert (cluster.run(run).state, state(cluster, run), cluster.started) == ("CANCELED", "CANCELED", [])
    assert set(host.taken) == {"another's"}


def test_a_worker_that_ends_waits_no_longer_and_leaves_the_step_to_others(
    cluster: World, document: Path, host: Host
) -> None:
    host.fill()
    run = queued(cluster, document)
    message = cluster.take()
    host.meanwhile = lambda: cluster.engine.leases.end("a warm shutdown")
    assert execute(cluster.engine, message.names) == {}
    assert (state(cluster, run), cluster.started) == ("QUEUED", [])
    cluster.deliver(message, cluster.workers[1])
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}


def test_the_journal_is_asked_seldom(tmp_path: Path, document: Path, host: Host) -> None:
    with world(tmp_path / "home", slots=host, cancel_poll=3600.0) as cluster:
        run = queued(cluster, document)
        host.fill()
        polls = 0

        def meanwhile() -> None:
            nonlocal polls
            polls += 1
            if polls == 1:
                with cluster.engine.database.begin() as connection:  # nobody asks, so nobody sees it
                    connection.execute(update(attempts).values(state="RUNNING"))
            elif polls == 100:
                with cluster.engine.database.begin() as connection:
                    connection.execute(update(attempts).values(state="QUEUED"))
                host.give_back("another's")

        host.meanwhile = meanwhile
        cluster.drain()
        assert polls == 100 and cluster.run(run).outputs == {"o": 5}


def test_items_of_a_scatter_never_have_more_than_the_host(tmp_path: Path) -> None:
    """Four threads take what comes; each step takes a half or the whole of the host."""
    lock = threading.Condition()
    most = 0.0

    class Shared(Host):
        def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
            nonlocal most
            with lock:
                found = super().take(name, wanted, still)
                most = max(most, sum(one.cpus for one in self.taken.values()))
                return found

        def give_back(self, name: str) -> None:
            with lock:
                super().give_back(name)
                lock.notify_all()

    host = Shared()
    host.meanwhile = lambda: lock.wait(HANG) or pytest.fail("nothing came free")  # type: ignore[assignment,return-value]
    run_ = tool("a", requirements=[{"class": "ResourceRequirement", "coresMin": "$(inputs.a)"}])
    each = step(run_, {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"each": each}, {"o": output("each/out")}, SCATTER))
    with world(tmp_path / "home", slots=host) as cluster:
        numbers = [1, 2, 1, 1, 2, 2, 1, 1, 2, 1]
        run = cluster.start(document, {"n": numbers})

        def work() -> None:
            while not cluster.over(run):
                try:
                    message = cluster.take()
                except IndexError:
                    threading.Event().wait(0.002)
                    continue
                cluster.deliver(message)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
        assert cluster.run(run).outputs == {"o": numbers}, cluster.table(run)
        assert 0 < most <= 2 and host.taken == {}


def test_a_message_that_came_twice_does_not_give_back_the_slot_of_the_first(cluster: World, document: Path) -> None:
    """Both in one process, where an attempt's slot goes by its name: it is one slot."""
    run = queued(cluster, document)
    message = cluster.take()
    came, plays = threading.Event(), threading.Event()
    results: list[Any] = []

    class Once(Host):
        def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
            if name in self.taken:
                came.set()
                assert plays.wait(HANG)
                return Slot()
            found = super().take(name, wanted, still)
            second.start()
            assert came.wait(HANG)
            return found

    once = Once()
    engine = cluster.worker(slots=once)
    cluster.workers.append(engine)

    def again() -> None:
        results.append(execute(engine, message.names).get(message.name))
        came.set()

    second = threading.Thread(target=again, daemon=True)

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        plays.set()
        second.join(HANG)
        assert set(once.taken) == {message.name}, "its tool still runs"
        return add(words)

    cluster.play = play
    assert execute(engine, message.names) == {message.name: {"out": 5}}
    assert (results, once.taken, cluster.started) == ([None], {}, [message.name])
    assert state(cluster, run) == "REPORTED"


# --- what a host can never hold ------------------------------------------------------------------


def test_a_host_that_is_too_small_leaves_the_step_to_others(cluster: World, document: Path) -> None:
    small = cluster.worker(slots=Host(cpus=0.5, ram=512))
    cluster.workers.append(small)
    run = queued(cluster, document)
    cluster.deliver(cluster.take(), small)
    assert cluster.started == []
    first = cluster.attempts(run, "s")[0]
    assert (first.state, first.outcome, first.owner) == ("REPORTED", "infrastructure", small.owner)
    assert first.error["type"] == "HostTooSmall"
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 5}
    assert [(a.number, a.outcome) for a in cluster.attempts(run, "s")] == [(1, "infrastructure"), (2, "success")]


def test_where_every_host_is_too_small_the_run_fails_by_name(tmp_path: Path, document: Path) -> None:
    host = Host(cpus=0.5, ram=512)
    with world(tmp_path / "home", slots=host) as cluster:
        row = cluster.finished(document, {"x": 5})
        assert (row.state, row.error["type"]) == ("FAILED", "HostTooSmall")
        assert "needs 1 CPU, 1024 MiB, but this host has 0.5 CPUs, 512 MiB" in row.error["message"]
        made = cluster.attempts(row.id)
        assert [(a.number, a.outcome) for a in made] == [(n, "infrastructure") for n in (1, 2, 3)]
        assert cluster.started == [] and host.taken == {}


# --- giving back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "problem",
    [
        Exit(1),
        OutOfMemory("it used more memory than it had"),
        KilledFromOutside("the container was killed by somebody else"),
        ZeroDivisionError("a bug"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_what_was_taken_is_given_back_however_it_ends(
    cluster: World, document: Path, host: Host, problem: Exception
) -> None:
    def fails(words: Sequence[str]) -> Mapping[str, Any]:
        assert len(host.taken) == 1
        raise problem

    cluster.play = fails
    row = cluster.finished(document, {"x": 5})
    assert row.state == "FAILED"
    assert host.taken == {}
    assert host.given_back == [a.id for a in cluster.attempts(row.id)], "each attempt gives back its own"


def test_what_was_taken_is_given_back_when_the_report_comes_too_late(
    cluster: World, document: Path, host: Host
) -> None:
    run = queued(cluster, document)

    def lost(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        cluster.scan(worker=cluster.workers[1])  # its worker looks dead from there
        return add(words)

    cluster.play = lost
    message = cluster.take()
    cluster.deliver(message)
    assert host.taken == {} and cluster.attempts(run, "s")[0].state == "LOST"


@pytest.mark.parametrize("where", ["claim", "work", "report"])
def test_what_was_taken_is_given_back_when_the_journal_fails(
    cluster: World, document: Path, host: Host, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    queued(cluster, document)

    def fails(*arguments: Any, **options: Any) -> Any:
        assert len(host.taken) == 1
        cluster.engine.leases.stop_all("no lease any more")
        raise JournalUnavailable("the test's journal does not answer")

    monkeypatch.setattr(tries, where, fails)
    with pytest.raises(JournalUnavailable):
        cluster.deliver(cluster.take())
    assert host.taken == {}


def test_a_ledger_that_can_not_be_used_is_the_host_s_failure(cluster: World, document: Path) -> None:
    class Broken(Host):
        def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
            raise UnavailableError("the ledger can't be used")

    broken = cluster.worker(slots=Broken())
    cluster.workers.append(broken)
    run = queued(cluster, document)
    cluster.deliver(cluster.take(), broken)
    [first] = cluster.attempts(run)
    assert (first.outcome, first.error["message"]) == (Outcome.INFRASTRUCTURE, "the ledger can't be used")
    assert cluster.started == []
    cluster.drain()
    assert cluster.run(run).state == "SUCCESS", "another worker takes the next attempt in hand"


def test_slots_are_closed_with_the_engine(tmp_path: Path, host: Host) -> None:
    with world(tmp_path / "home", slots=host):
        pass
    assert host.closed


# --- what is taken -------------------------------------------------------------------------------


def test_expressions_take_no_slot(cluster: World, tmp_path: Path, host: Host) -> None:
    host.fill()
    plus = {
        "class": "ExpressionTool", "inputs": {"a": "int"}, "outputs": {"out": "int"},
        "requirements": [{"class": "InlineJavascriptRequirement"}], "expression": "${return {out: inputs.a + 1};}",
    }  # fmt: skip
    document = write(tmp_path, workflow({"x": "int"}, {"s": step(plus, {"a": "x"})}, {"o": output("s/out")}))
    row = cluster.finished(document, {"x": 5})
    assert row.outputs == {"o": 6}
    assert (host.asked, host.given_back) == ([], [])
    assert [a.granted for a in cluster.attempts(row.id)] == [None]


def test_the_next_rung_takes_more(cluster: World, tmp_path: Path, host: Host) -> None:
    def hungry(words: Sequence[str]) -> Mapping[str, Any]:
        if len(cluster.started) == 1:
            raise OutOfMemory("it used more memory than it had")
        return {"out": 1}

    cluster.play = hungry
    document = write(tmp_path, tool("a"))
    row = cluster.finished(document, {"a": 1})
    assert row.state == "SUCCESS"
    assert [wanted for _, wanted in host.asked] == [Resources(1, 1024), Resources(2, 2048)]


def test_the_ids_of_gpus_go_to_the_tool(tmp_path: Path) -> None:
    queues = (*QUEUES, QueueLimits("gpu", cpus=2, ram=2048, gpus=2))
    hint = {
        "class": "cwltool:CUDARequirement", "cudaVersionMin": "11", "cudaComputeCapability": "3.0",
        "cudaDeviceCountMin": 2,
    }  # fmt: skip
    run = tool("a", hints=[hint], **{"$namespaces": {"cwltool": "http://commonwl.org/cwltool#"}})
    host = Host(gpus=("3", "5", "7"))
    with world(tmp_path / "home", slots=host, queues=queues) as cluster:
        row = cluster.finished(write(tmp_path, run), {"a": 1})
        assert row.state == "SUCCESS", row.error
        assert [a.queue for a in cluster.attempts(row.id)] == ["gpu"]
        assert [command.env["CUDA_VISIBLE_DEVICES"] for command in cluster.commands] == ["3,5"]
        assert [wanted for _, wanted in host.asked] == [Resources(2, 2048, 2)]
