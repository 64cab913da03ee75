"""The slots of a host: what every implementation keeps to, and what the ledger adds to it.

A HostSlots has its own part in the ledger, so several of them in one process are to one another what
processes are. :func:`die` does to one what SIGKILL does to a process.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import queues.ledger
import queues.part
import queues.slots
from celeriac.errors import HostTooSmall, SettingsError, UnavailableError
from celeriac.resources import Budget, Resources
from celeriac.slots import Slot, Slots, Unbounded
from queues.budget import fits
from queues.ledger import Ledger, boot_id, overview, path_of
from queues.owners import Owner
from queues.slots import HostSlots
from queues.turns import Entry

HANG = 60.0
BUDGET = Budget(4, 40, ("0", "1"))
ONE = Resources(1, 1)
ALL = Resources(4, 40, 2)


def never() -> bool:
    return False


def some(looks: int = 3) -> Callable[[], bool]:
    """Want it for so many looks."""
    left = iter(range(looks))
    return lambda: next(left, None) is not None


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "slots"


@pytest.fixture
def make(directory: Path) -> Iterator[Callable[..., HostSlots]]:
    made = []

    def make(budget: Budget = BUDGET, **more: Any) -> HostSlots:
        made.append(HostSlots(directory, budget, **more))
        return made[-1]

    yield make
    for slots in made:
        slots.close()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for the dead each time that something looks whether it is its turn."""
    monkeypatch.setattr(queues.slots, "TEND", 0.0)
    monkeypatch.setattr(queues.slots, "POLL", 0.001)


def die(slots: HostSlots) -> None:
    """Lose the lock and all that was known, as a killed process does; the object is a new process then."""
    slots._before_fork()
    slots._in_parent()
    slots._in_child()


def names(directory: Path, *, waiting: bool = False) -> list[str]:
    return [line.name for line in overview(directory) if line.waiting is waiting]


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.002)


@contextmanager
def waiting(directory: Path, slots: HostSlots, name: str, wanted: Resources) -> Iterator[Future[Slot | None]]:
    """Have a thread wait for something; it gives up at the end."""
    gone = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            future = pool.submit(slots.take, name, wanted, lambda: not gone.is_set())
            until(lambda: future.done() or name in names(directory, waiting=True))
            yield future
        finally:
            gone.set()


# --- the contract --------------------------------------------------------------------------------


@pytest.fixture(params=["host", "unbounded"])
def slots(request: pytest.FixtureRequest, make: Callable[..., HostSlots]) -> Slots:
    return make() if request.param == "host" else Unbounded()


def test_what_is_there_is_granted(slots: Slots) -> None:
    assert slots.take("a", ONE, never) == Slot()
    assert slots.take("b", Resources(2, 2, 1), never) == Slot(("0",))


def test_as_many_gpus_as_wanted(slots: Slots) -> None:
    slot = slots.take("a", Resources(1, 1, 2), never)
    assert slot is not None
    assert len(set(slot.gpus)) == 2


def test_taking_twice_is_the_same(slots: Slots) -> None:
    wanted = Resources(3, 3, 1)
    assert slots.take("a", wanted, never) == slots.take("a", wanted, never) == Slot(("0",))


def test_what_was_given_back_can_be_taken(slots: Slots) -> None:
    for name in "abc":
        assert slots.take(name, ALL, never) == Slot(("0", "1"))
        slots.give_back(name)


def test_giving_back_what_is_not_there(slots: Slots) -> None:
    slots.give_back("a")
    slots.take("a", ONE, never)
    slots.give_back("b")
    slots.give_back("a")
    slots.give_back("a")


def test_closing(slots: Slots) -> None:
    slots.close()
    slots.take("a", ALL, never)
    slots.close()
    slots.close()
    slots.give_back("a")
    assert slots.take("b", ALL, never) == Slot(("0", "1"))


def test_from_many_threads(slots: Slots) -> None:
    def work(number: int) -> None:
        for turn in range(5):
            name = f"{number}.{turn}"
            assert slots.take(name, Resources(1 + number % 3, 10, number % 2), lambda: True) is not None
            slots.give_back(name)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, number) for number in range(8)]:
            future.result(HANG)
    assert slots.take("all", ALL, never) == Slot(("0", "1"))


# --- one budget ----------------------------------------------------------------------------------


def test_no_more_than_there_is(make: Callable[..., HostSlots]) -> None:
    one, other = make(), make()
    assert one.take("a", Resources(3, 3), never)
    assert other.take("b", Resources(2, 2), never) is None
    assert other.take("c", Resources(1, 2), never)
    one.give_back("a")
    assert other.take("b", Resources(2, 2), never)


def test_gpus_are_leased_once(make: Callable[..., HostSlots]) -> None:
    one, other, third = make(), make(), make()
    wanted = Resources(1, 1, 1)
    assert one.take("a", wanted, never) == Slot(("0",))
    assert other.take("b", wanted, never) == Slot(("1",))
    assert third.take("c", wanted, never) is None
    one.give_back("a")
    assert third.take("c", wanted, never) == Slot(("0",))


def test_one_cannot_give_back_what_another_has(make: Callable[..., HostSlots]) -> None:
    one, other = make(), make()
    one.take("a", ALL, never)
    other.give_back("a")
    assert other.take("b", ONE, never) is None


def test_closing_gives_all_back(make: Callable[..., HostSlots], directory: Path) -> None:
    one, other = make(), make()
    one.take("a", ONE, never)
    one.take("b", ONE, never)
    one.close()
    assert other.take("c", ALL, never)
    other.close()
    assert not list(directory.glob("owner-*"))


def test_nothing_is_opened_before_something_is_taken(make: Callable[..., HostSlots], directory: Path) -> None:
    one = make()
    one.give_back("a")
    one.close()
    assert not directory.exists()


def test_more_than_the_whole_host(make: Callable[..., HostSlots]) -> None:
    with pytest.raises(HostTooSmall) as caught:
        make().take("r/align", Resources(2, 41), never)
    assert str(caught.value.message) == (
        "r/align needs 2 CPUs, 41 MiB, but this host has 4 CPUs, 40 MiB and 2 GPUs for all its steps together"
    )
    assert "larger host" in caught.value.hint
    for wanted in (Resources(4.5, 1), Resources(1, 1, 3)):
        with pytest.raises(HostTooSmall):
            make().take("a", wanted, never)


# --- waiting -------------------------------------------------------------------------------------


def test_who_gives_up_leaves_no_trace(make: Callable[..., HostSlots], directory: Path) -> None:
    one, other = make(), make()
    one.take("a", ALL, never)
    assert other.take("b", ONE, some()) is None
    assert names(directory, waiting=True) == []
    assert names(directory) == ["a"]


def test_an_error_of_still_leaves_no_trace(make: Callable[..., HostSlots], directory: Path) -> None:
    one = make()
    one.take("a", ALL, never)
    with pytest.raises(ZeroDivisionError):
        one.take("b", ONE, lambda: bool(1 // 0))
    assert names(directory, waiting=True) == []


@pytest.mark.parametrize("same", [True, False], ids=["in one process", "across processes"])
def test_who_waits_gets_it(make: Callable[..., HostSlots], directory: Path, same: bool) -> None:
    one = make()
    other = one if same else make()
    one.take("a", ALL, never)
    with waiting(directory, other, "b", ALL) as future:
        assert not future.done()
        one.give_back("a")
        assert future.result(HANG) == Slot(("0", "1"))
    assert names(directory) == ["b"]


def test_those_who_wait_come_in_order(make: Callable[..., HostSlots], directory: Path) -> None:
    holder, one, other = make(), make(), make()
    holder.take("a", ONE, never)
    with waiting(directory, one, "large", Resources(4, 4)) as large:
        assert other.take("small", ONE, some()) is None  # it would fit, but hold up the large one
        holder.give_back("a")
        assert large.result(HANG)
    assert other.take("small", ONE, never) is None
    one.give_back("large")
    assert other.take("small", ONE, never)


def test_one_that_holds_up_nobody_passes(make: Callable[..., HostSlots], directory: Path) -> None:
    holder, one, other = make(), make(), make()
    holder.take("a", Resources(1, 1, 2), never)
    with waiting(directory, one, "gpu", Resources(1, 1, 1)) as gpu:
        assert other.take("small", ONE, never)
        assert not gpu.done()


def test_a_dead_waiter_holds_up_nobody(make: Callable[..., HostSlots], directory: Path, eager: None) -> None:
    slots = make()
    slots.take("a", ONE, never)
    ghost = Owner(directory, boot_id())
    with open_ledger(directory) as ledger:
        ledger.write(Entry(9, ghost.token, "ghost", Resources(4, 4), budget=BUDGET, looked=queues.slots._boottime()))
    assert slots.take("small", ONE, some()) is None
    ghost.leave()
    assert slots.take("small", ONE, some())
    assert names(directory, waiting=True) == []


def entries(directory: Path) -> list[Entry]:
    with open_ledger(directory) as ledger:
        return ledger.entries()


@contextmanager
def open_ledger(directory: Path) -> Iterator[Ledger]:
    ledger = Ledger(directory, boot_id())
    try:
        yield ledger
    finally:
        ledger.close()


# --- workers -------------------------------------------------------------------------------------


def test_a_worker_has_a_cap(make: Callable[..., HostSlots], directory: Path) -> None:
    child, sibling, other = (make(worker=name, cap=2) for name in ("w", "w", "x"))
    assert child.take("a", ONE, never)
    assert sibling.take("b", ONE, never)
    assert child.take("c", ONE, never) is None
    with waiting(directory, sibling, "large", Resources(4, 4)):
        assert other.take("d", ONE, never)  # the large one waits for its worker's cap, and holds up nobody
    child.give_back("a")
    assert sibling.take("c", ONE, never)


def test_oversubscription_does_not_wait_for_the_budget(make: Callable[..., HostSlots], directory: Path) -> None:
    free, other = make(enforce=False, worker="w", cap=2), make()
    assert other.take("a", ALL, never)
    assert free.take("b", Resources(9, 99), never) == Slot()
    assert free.take("c", Resources(9, 99, 1), never) == Slot(("0",))
    assert free.take("d", ONE, never) is None  # the cap holds
    other.give_back("a")
    assert other.take("e", ONE, never) is None  # others count what it has
    with pytest.raises(HostTooSmall):
        free.take("f", Resources(1, 1, 3), never)


def test_oversubscription_takes_free_gpus_first(make: Callable[..., HostSlots]) -> None:
    free, other = make(enforce=False), make()
    wanted = Resources(1, 1, 1)
    assert other.take("a", wanted, never) == Slot(("0",))
    assert [free.take(name, wanted, never) for name in "bc"] == [Slot(("1",)), Slot(("0",))]


# --- the dead ------------------------------------------------------------------------------------


def test_the_slots_of_the_dead_come_back_after_the_lease(
    make: Callable[..., HostSlots], directory: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(queues.slots, "_boottime", lambda: clock[0])
    one, other = make(lease=60), make(lease=60)
    one.take("a", ALL, never)
    die(one)
    assert other.take("b", ONE, some()) is None
    clock[0] += 59
    assert other.take("b", ONE, some()) is None
    clock[0] += 1
    assert other.take("b", ONE, some())
    assert names(directory) == ["b"]


def test_what_is_cleared_is_free_at_once(make: Callable[..., HostSlots], directory: Path, eager: None) -> None:
    asked = []
    one = make()
    one.take("a", ALL, never)
    one.take("waits", ALL, never)
    die(one)
    other = make(clear=lambda name: not asked.append(name), lease=1e9)
    assert other.take("b", ALL, some())
    assert asked == ["a"]


def broken(name: str) -> bool:
    raise OSError("the engine does not answer")


@pytest.mark.parametrize("clear", [lambda name: False, broken], ids=["something is left", "it fails"])
def test_what_is_not_cleared_is_tried_again_and_waits_for_the_lease(
    make: Callable[..., HostSlots], eager: None, monkeypatch: pytest.MonkeyPatch, clear: Callable[[str], bool]
) -> None:
    clock, asked = [1000.0], []
    monkeypatch.setattr(queues.slots, "_boottime", lambda: clock[0])
    one = make()
    one.take("a", ALL, never)
    die(one)

    def counted(name: str) -> bool:
        asked.append(name)
        return clear(name)

    other = make(clear=counted, lease=60)
    assert other.take("b", ONE, some(5)) is None
    assert asked == ["a"]
    clock[0] += 5
    assert other.take("b", ONE, some(5)) is None
    assert asked == ["a", "a"]
    clock[0] += 55
    assert other.take("b", ONE, some(5))


def test_the_lease_does_not_free_what_nobody_tried_to_clear(make: Callable[..., HostSlots], eager: None) -> None:
    asked = []
    one = make()
    one.take("a", ALL, never)
    die(one)
    other = make(clear=lambda name: bool(asked.append(name)), lease=0)
    assert other.take("b", ONE, some())
    assert asked == ["a"]


def test_nothing_is_ended_where_nobody_knows_whether_the_owner_lives(
    make: Callable[..., HostSlots], directory: Path, eager: None
) -> None:
    asked: list[str] = []
    one = make()
    one.take("a", ALL, never)
    for file in directory.glob("owner-*"):
        file.unlink()
    other = make(clear=lambda name: not asked.append(name), lease=1e9)
    assert other.take("b", ONE, some()) is None
    one.take("c", ONE, never)  # it lives: its file is there again
    assert other.take("b", ONE, some()) is None
    assert asked == []
    assert not any(entry.dead for entry in entries(directory))
    one.give_back("a")
    assert other.take("b", ONE, some())


def test_a_name_that_a_living_one_has_is_not_cleared(make: Callable[..., HostSlots], eager: None) -> None:
    asked: list[str] = []
    one, living = make(), make()
    one.take("a", Resources(2, 2), never)
    die(one)
    living.take("a", Resources(2, 2), never)
    other = make(clear=lambda name: not asked.append(name), lease=1e9)
    assert other.take("b", ONE, some()) is None
    assert asked == []


def test_who_takes_the_place_of_a_dead_one_has_what_it_left_cleared(
    make: Callable[..., HostSlots], eager: None
) -> None:
    asked: list[str] = []
    one = make(clear=lambda name: not asked.append(name), lease=1e9)
    one.take("a", ALL, never)
    die(one)
    assert one.take("a", ALL, some())
    assert asked == ["a"]


def test_files_of_the_dead_are_removed(make: Callable[..., HostSlots], directory: Path, eager: None) -> None:
    one, other = make(), make(lease=0)
    one.take("a", ONE, never)
    die(one)
    other.take("b", Resources(2, 2), never)
    assert other.take("c", Resources(4, 4), some()) is None
    assert names(directory) == ["b"]
    assert len(list(directory.glob("owner-*"))) == 1


# --- what may happen to the files ----------------------------------------------------------------


def test_a_reboot(make: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    one, other = make(lease=1e9), make(lease=1e9)
    one.take("a", ALL, never)
    die(one)
    monkeypatch.setattr(queues.part, "boot_id", lambda: "next")
    assert other.take("b", ALL, never)
    assert not path_of(directory, boot_id()).exists()
    assert len(list(directory.glob("owner-*"))) == 1


def test_a_directory_that_was_removed_is_made_again_with_what_is_held(
    make: Callable[..., HostSlots], directory: Path
) -> None:
    one, other = make(), make()
    one.take("a", Resources(3, 3), never)
    other.take("b", ONE, never)
    shutil.rmtree(directory)
    other.give_back("b")
    one.give_back("nothing")
    assert one.take("c", Resources(2, 2), never) is None
    assert names(directory) == ["a"]
    assert other.take("b", Resources(2, 2), never) is None
    assert other.take("b", ONE, never)


def test_a_directory_that_is_not_to_be_trusted(directory: Path, make: Callable[..., HostSlots]) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(SettingsError):
        make().take("a", ONE, never)


def test_a_ledger_that_is_broken(directory: Path, make: Callable[..., HostSlots]) -> None:
    directory.mkdir(0o700)
    path_of(directory, boot_id()).write_text("no database" * 100)
    with pytest.raises(UnavailableError):
        make().take("a", ONE, never)


def test_a_ledger_that_a_stopped_process_keeps(
    directory: Path, make: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch, eager: None
) -> None:
    """What is given back meanwhile is given back later, and who wants something waits."""
    monkeypatch.setattr(queues.ledger, "_PATIENCE", 0.01)
    one, other = make(), make()
    one.take("a", ALL, never)
    with open_ledger(directory) as ledger, ledger.begin():
        one.give_back("a")
        assert other.take("b", ONE, some()) is None
    assert names(directory) == ["a"]
    assert one.take("a", ONE, never) == Slot()
    assert [line.resources for line in overview(directory)] == [ONE]


def test_what_could_not_be_given_back_is_given_back_by_and_by(
    directory: Path, make: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues.ledger, "_PATIENCE", 0.01)
    monkeypatch.setattr(queues.slots, "_LATER", 0.01)
    one = make()
    one.take("a", ALL, never)
    with open_ledger(directory) as ledger, ledger.begin():
        one.give_back("a")
        time.sleep(0.1)  # let it try in vain
    until(lambda: names(directory) == [])


# --- whatever happens ----------------------------------------------------------------------------

PROCESSES = 3
NAMES = st.sampled_from("abcd")
WANTED = st.builds(
    Resources, cpus=st.sampled_from([0.1, 0.5, 1.0, 2.5, 4.0]), ram=st.integers(1, 40), gpus=st.integers(0, 2)
)
WHO = st.integers(0, PROCESSES - 1)


class SlotsMachine(RuleBasedStateMachine):
    """Several processes take, give back, close, fork and die; what they hold is known here."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(mkdtemp()) / "slots"
        self.clearable = True
        self.slots = [
            HostSlots(self.directory, BUDGET, worker=f"w{n}", clear=lambda name: self.clearable, lease=1e9)
            for n in range(PROCESSES)
        ]
        self.held: list[dict[str, tuple[Resources, Slot]]] = [{} for _ in range(PROCESSES)]
        self.lives = [0] * PROCESSES  # a process that comes after one that died runs other attempts
        self.dead: list[tuple[Resources, Slot]] = []  # what is still counted, though its process has died

    def taken(self) -> list[tuple[Resources, tuple[str, ...]]]:
        both = [*self.dead, *(pair for held in self.held for pair in held.values())]
        return [(wanted, slot.gpus) for wanted, slot in both]

    def named(self, who: int, name: str) -> str:
        return f"{who}.{self.lives[who]}.{name}"

    @rule(who=WHO, name=NAMES, wanted=WANTED)
    def take(self, who: int, name: str, wanted: Resources) -> None:
        name = self.named(who, name)
        known = self.held[who].get(name)
        fitted = fits(BUDGET, self.taken(), wanted) is not None
        slot = self.slots[who].take(name, wanted, some(2))
        if known is not None:
            assert slot == known[1]
            return
        if not fitted and self.clearable:
            self.dead.clear()
        if slot is None:
            assert fits(BUDGET, self.taken(), wanted) is None
        else:
            assert fits(BUDGET, self.taken(), wanted) is not None
            self.held[who][name] = (wanted, slot)

    @rule(who=WHO, name=NAMES)
    def give_back(self, who: int, name: str) -> None:
        self.slots[who].give_back(self.named(who, name))
        self.held[who].pop(self.named(who, name), None)

    @rule(who=WHO)
    def close(self, who: int) -> None:
        self.slots[who].close()
        self.held[who].clear()

    @rule(who=WHO)
    def die(self, who: int) -> None:
        die(self.slots[who])
        self.lives[who] += 1
        self.dead += self.held[who].values()
        self.held[who].clear()

    @rule(who=WHO)
    def fork(self, who: int) -> None:
        self.slots[who]._before_fork()
        self.slots[who]._in_parent()

    @precondition(lambda self: not self.dead)
    @rule(clearable=st.booleans())
    def let_clear(self, clearable: bool) -> None:
        self.clearable = clearable

    @invariant()
    def never_more_than_there_is(self) -> None:
        taken = self.taken()
        assert sum(wanted.cpus for wanted, _ in taken) <= BUDGET.cpus + 1e-6
        assert sum(wanted.ram for wanted, _ in taken) <= BUDGET.ram
        leased = [gpu for _, ids in taken for gpu in ids]
        assert len(leased) == len(set(leased))

    @invariant()
    def the_ledger_says_so(self) -> None:
        written = [(line.resources, line.gpus) for line in overview(self.directory)]
        assert sorted(map(repr, written)) == sorted(map(repr, self.taken()))

    def teardown(self) -> None:
        for slots in self.slots:
            slots.close()
        shutil.rmtree(self.directory.parent)


def test_whatever_happens(eager: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        SlotsMachine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )
