"""The slots of a host between real processes, which are killed whatever they are doing."""

from __future__ import annotations

import fcntl
import itertools
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import billiard
import pytest

from celeriac.resources import Budget, Resources
from celeriac.slots import Slot
from queues.alive import boot_id
from queues.ledger import Ledger, overview, path_of
from queues.slots import HostSlots
from queues.turns import Entry

HANG = 60.0
BUDGET = Budget(3, 30, ("0", "1"))
ALL = Resources(3, 30, 2)
FORK = multiprocessing.get_context("fork")


def always() -> bool:
    return True


class Count:
    """What is taken by name, counted beside the ledger in a file under a lock of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def enter(self, name: str, wanted: Resources, slot: Slot) -> None:
        """Count something that was taken; fails when that is more than there is."""
        with self._open() as taken:
            taken[name] = [wanted.cpus, wanted.ram, slot.gpus]
            assert sum(cpus for cpus, _, _ in taken.values()) <= BUDGET.cpus + 1e-6, taken
            assert sum(ram for _, ram, _ in taken.values()) <= BUDGET.ram, taken
            leased = [gpu for _, _, ids in taken.values() for gpu in ids]
            assert len(leased) == len(set(leased)), taken
            assert len(slot.gpus) == wanted.gpus, slot

    def leave(self, name: str) -> bool:
        """Count it no more. It is what ends the leftovers of a killed process, too."""
        with self._open() as taken:
            taken.pop(name, None)
        return True

    @contextmanager
    def _open(self) -> Iterator[dict[str, Any]]:
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            # who was killed while it wrote wrote a whole line, or nothing that ends in a newline
            lines = file.read().splitlines(keepends=True)
            taken = next((json.loads(line) for line in reversed(lines) if line.endswith("\n")), {})
            yield taken
            file.write(f"\n{json.dumps(taken)}\n")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_UN)  # a child that was forked just now has the file open, too


def start(context: Any, target: Callable[..., None], *args: Any) -> Any:
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def end(process: Any) -> None:
    process.join(HANG)
    process.kill()  # one that hangs would keep for ever what others wait for
    process.join()
    assert process.exitcode == 0


def kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join()  # without a limit: with one it waits for the children, too
    assert process.exitcode == -signal.SIGKILL


def until(condition: Callable[[], Any]) -> None:
    limit = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < limit, "nothing happens"
        time.sleep(0.002)


def names(directory: Path, *, waiting: bool = False) -> list[str]:
    return [line.name for line in overview(directory) if line.waiting is waiting]


def holder(directory: Path, name: str, wanted: Resources) -> None:
    HostSlots(directory, BUDGET).take(name, wanted, always)
    signal.pause()


def worker(directory: Path, counted: Path, seed: int, rounds: int) -> None:
    """Take and give back at random; leave what was taken to whoever comes after when killed."""
    chance, count = random.Random(seed), Count(counted)
    slots = HostSlots(directory, BUDGET, clear=count.leave, lease=1e9)
    for turn in range(rounds):
        name = f"{os.getpid()}.{turn}"
        wanted = Resources(chance.choice([0.1, 0.5, 1, 2, 3]), chance.randint(1, 30), chance.randint(0, 2))
        looks = iter(range(chance.choice([1, 10**9])))
        slot = slots.take(name, wanted, lambda looks=looks: next(looks, None) is not None)  # type: ignore[misc]
        if slot is not None:
            count.enter(name, wanted, slot)
            if chance.random() < 0.3:
                time.sleep(0.002)
            count.leave(name)
            slots.give_back(name)
    slots.close()


def check_that_all_is_free(directory: Path, count: Count) -> None:
    slots = HostSlots(directory, BUDGET, clear=count.leave, lease=1e9)
    limit = time.monotonic() + HANG
    assert slots.take("all", ALL, lambda: time.monotonic() < limit) == Slot(("0", "1"))
    assert names(directory) == ["all"]
    slots.close()
    assert names(directory) == []
    check_file(directory)


def check_file(directory: Path) -> None:
    with closing(sqlite3.connect(path_of(directory, boot_id()))) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_many_at_once(tmp_path: Path) -> None:
    directory, count = tmp_path / "slots", Count(tmp_path / "count")
    processes = [start(FORK, worker, directory, count.path, seed, 40) for seed in range(4)]
    for process in processes:
        end(process)
    check_that_all_is_free(directory, count)
    assert not list(directory.glob("owner-*"))


def test_killed_whatever_they_do(tmp_path: Path) -> None:
    """Nothing is taken twice, nothing is lost, and the file stays whole."""
    directory, count, chance = tmp_path / "slots", Count(tmp_path / "count"), random.Random(1)
    processes = [start(FORK, worker, directory, count.path, seed, 10**9) for seed in range(4)]
    for seed in range(25):
        time.sleep(chance.random() * 0.06)
        victim = processes.pop(chance.randrange(len(processes)))
        kill(victim)  # it would have ended by itself had it counted too much
        processes.append(start(FORK, worker, directory, count.path, 100 + seed, 10**9))
    for process in processes:
        assert process.is_alive()
        kill(process)
    check_that_all_is_free(directory, count)


def test_killed_while_it_holds(tmp_path: Path) -> None:
    process = start(FORK, holder, tmp_path / "slots", "theirs", ALL)
    until(lambda: names(tmp_path / "slots") == ["theirs"])
    cleared: list[str] = []
    slots = HostSlots(tmp_path / "slots", BUDGET, clear=lambda name: not cleared.append(name), lease=1e9)
    assert slots.take("mine", ALL, iter([True, False]).__next__) is None
    assert cleared == []
    kill(process)
    assert slots.take("mine", ALL, always)
    assert cleared == ["theirs"]
    slots.close()


def test_the_slots_of_a_killed_worker_return_within_the_lease(tmp_path: Path) -> None:
    """Though nobody can clear what it left."""
    process = start(FORK, holder, tmp_path / "slots", "theirs", ALL)
    until(lambda: names(tmp_path / "slots") == ["theirs"])
    kill(process)
    assert [line.dead for line in overview(tmp_path / "slots")] == [True]
    slots = HostSlots(tmp_path / "slots", BUDGET, lease=0.5)
    limit = time.monotonic() + HANG
    assert slots.take("mine", ALL, lambda: time.monotonic() < limit)
    slots.close()


def test_killed_while_it_waits(tmp_path: Path) -> None:
    directory = tmp_path / "slots"
    slots = HostSlots(directory, BUDGET, lease=1e9)
    slots.take("mine", Resources(1, 1), always)
    process = start(FORK, holder, directory, "theirs", ALL)
    until(lambda: names(directory, waiting=True) == ["theirs"])
    assert slots.take("more", Resources(1, 1), iter([True, False]).__next__) is None  # it would hold theirs up
    kill(process)
    assert slots.take("more", Resources(1, 1), always)
    assert names(directory, waiting=True) == []
    slots.close()


# --- in the middle of a transaction --------------------------------------------------------------


def entry(number: int, name: str) -> Entry:
    return Entry(number, str(os.getpid()), name, Resources(1, 1), taken=True)


def half(directory: Path) -> None:
    """Write one of two things that belong together."""
    ledger = Ledger(directory, boot_id())
    with ledger.begin():
        ledger.write(entry(1, "half"))
        (directory / "begun").touch()
        signal.pause()


def pairs(directory: Path) -> None:
    """Write two things that belong together, and remove them, as fast as it goes."""
    ledger = Ledger(directory, boot_id())
    for number in itertools.count(1, 2):
        with ledger.begin():
            for old in ledger.entries():
                ledger.remove(old.owner, old.name)
            ledger.write(entry(number, "left" * 200))
            ledger.write(entry(number + 1, "right" * 200))


def test_half_a_transaction_is_undone(tmp_path: Path) -> None:
    process = start(FORK, half, tmp_path)
    until((tmp_path / "begun").exists)
    kill(process)
    with closing(Ledger(tmp_path, boot_id())) as ledger, ledger.begin():
        assert ledger.entries() == []


def test_killed_in_the_middle_of_transactions(tmp_path: Path) -> None:
    chance = random.Random(1)
    with closing(Ledger(tmp_path, boot_id())) as ledger:
        for _ in range(40):
            process = start(FORK, pairs, tmp_path)
            until(lambda pid=process.pid: [e for e in ledger.entries() if e.owner == str(pid)])  # type: ignore[misc]
            time.sleep(chance.random() * 0.01)
            kill(process)
            with ledger.begin():
                left, right = ledger.entries()
            assert left.owner == right.owner
            assert right.number == left.number + 1
    check_file(tmp_path)


# --- forks ---------------------------------------------------------------------------------------


def fork_and_take(context: Any, directory: Path) -> None:
    """Take something, then fork a child that takes something and goes on living."""
    slots = HostSlots(directory, BUDGET)
    slots.take("parent", Resources(1, 1), always)
    start(context, take_and_pause, slots)
    signal.pause()


def take_and_pause(slots: HostSlots) -> None:
    slots.give_back("parent")  # not the child's
    slots.take("child", Resources(1, 1), always)
    (slots._directory / "child").write_text(str(os.getpid()))
    signal.pause()


@pytest.mark.parametrize("context", [FORK, billiard.get_context("fork")], ids=["multiprocessing", "billiard"])
def test_a_forked_child_has_its_own_part(context: Any, tmp_path: Path) -> None:
    """The parent's death frees what the parent took, and nothing of the child's, which was forked from it."""
    directory = tmp_path / "slots"
    # not a daemon: it may have children; so whatever happens it is killed, or this process would wait for it at its end
    parent = FORK.Process(target=fork_and_take, args=(context, directory))
    parent.start()
    told = directory / "child"
    try:
        until(lambda: sorted(names(directory)) == ["child", "parent"] and told.exists() and told.read_text())
        kill(parent)
        assert {line.name: line.dead for line in overview(directory)} == {"parent": True, "child": False}
        slots = HostSlots(directory, BUDGET, clear=lambda name: True, lease=1e9)
        assert slots.take("mine", Resources(2, 2), always)
        assert sorted(names(directory)) == ["child", "mine"]
    finally:
        parent.kill()
        if child := told.exists() and told.read_text():
            os.kill(int(child), signal.SIGKILL)
    assert slots.take("more", Resources(1, 1), always)
    slots.close()


def test_forks_while_threads_take(tmp_path: Path) -> None:
    """A fork in the middle of another thread's transaction leaves both processes whole."""
    slots = HostSlots(tmp_path / "slots", BUDGET)
    count = Count(tmp_path / "count")
    stop = FORK.Event()

    def churn(number: int) -> None:
        turn = 0
        while not stop.is_set():
            name = f"{number}.{turn}"
            slot = slots.take(name, Resources(1, 1, number % 2), lambda: not stop.is_set())
            if slot is None:
                return
            count.enter(name, Resources(1, 1, number % 2), slot)
            count.leave(name)
            slots.give_back(name)
            turn += 1

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(churn, number) for number in range(3)]
        try:
            for number in range(12):
                end(start(FORK, once, slots, count, f"child{number}"))
        finally:
            stop.set()
        for future in futures:
            future.result(HANG)
    slots.close()
    check_that_all_is_free(tmp_path / "slots", count)


def once(slots: HostSlots, count: Count, name: str) -> None:
    slot = slots.take(name, ALL, always)
    assert slot is not None
    count.enter(name, ALL, slot)
    count.leave(name)
    slots.close()
