"""The slots of a host: what every implementation keeps to, and how those who want them wait."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import queues.ledger
import queues.part
import queues.slots
from celeriac.errors import HostTooSmall
from celeriac.resources import Resources
from celeriac.slots import Slot, Slots, Unbounded
from queues.alive import boot_id
from queues.owners import Owner
from queues.slots import HostSlots
from queues.turns import Entry
from tests.unit.slots.harness import (
    ALL,
    BUDGET,
    HANG,
    ONE,
    names,
    never,
    open_ledger,
    some,
    waiting,
)

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
