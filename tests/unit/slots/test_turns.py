"""Whose turn it is: in order, nobody starves, and nothing lies idle that nobody older could use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celeriac.resources import Budget, Resources
from queues.budget import fits
from queues.turns import STALE, Entry, turn

HOST = Budget(4, 40, ("0", "1"))
NOW = 1000.0


def entry(number: int, cpus: float = 1, ram: int = 1, gpus: int = 0, **more: Any) -> Entry:
    given_ = {"owner": "o", "name": f"n{number}", "budget": HOST, "looked": NOW, **more}
    return Entry(number=number, wanted=Resources(cpus, ram, gpus), **given_)


def has(number: int, cpus: float = 1, ram: int = 1, ids: tuple[str, ...] = (), **more: Any) -> Entry:
    return replace(entry(number, cpus, ram, len(ids), **more), taken=True, gpus=ids)


def test_the_first_takes_what_it_wants() -> None:
    assert turn(entry(1, 4, 40, 2), [], HOST, NOW) == ("0", "1")


def test_what_does_not_fit_waits() -> None:
    assert turn(entry(2, 2), [has(1, 3)], HOST, NOW) is None


def test_a_small_one_does_not_pass_a_large_one_that_it_would_hold_up() -> None:
    large = entry(2, 4)
    assert turn(entry(3, 1), [has(1, 1), large], HOST, NOW) is None


def test_a_small_one_passes_where_both_will_fit() -> None:
    waits = entry(2, 2)
    assert turn(entry(3, 1), [has(1, 3), waits], HOST, NOW) == ()
    assert turn(entry(4, 1), [waits, has(3, 2)], HOST, NOW) is None  # not beside what has passed already


def test_one_that_needs_no_gpu_passes_one_that_waits_for_a_gpu() -> None:
    entries = [has(1, 1, ids=("0", "1")), entry(2, 1, gpus=1)]
    assert turn(entry(3, 1), entries, HOST, NOW) == ()
    assert turn(entry(4, 1, gpus=1), [has(1, ids=("0",)), entry(2, gpus=2)], HOST, NOW) is None


def test_a_full_worker_holds_up_nobody_else() -> None:
    entries = [has(1, worker="a"), entry(2, 4, worker="a", cap=1)]
    assert turn(entries[1], entries, HOST, NOW) is None
    assert turn(entry(3, 1, worker="b"), entries, HOST, NOW) == ()


def test_the_cap_counts_one_worker_only() -> None:
    entries = [has(1, worker="a"), has(2, worker="b")]
    assert turn(entry(3, worker="a", cap=2), entries, HOST, NOW) == ()
    assert turn(entry(3, worker="a", cap=1), entries, HOST, NOW) is None


def test_the_dead_and_the_stopped_are_not_reserved_for() -> None:
    for gone in ({"dead": NOW - 1}, {"looked": NOW - STALE}):
        assert turn(entry(3), [has(1), entry(2, 4, **gone)], HOST, NOW) == ()


def test_without_a_budget_nothing_waits_but_for_the_cap() -> None:
    full = [has(1, 4, 40, ("0",), worker="a"), entry(2, 4)]
    free = entry(3, 9, 99, 1, budget=None, worker="a")
    assert turn(free, full, HOST, NOW) == ("1",)
    assert turn(replace(free, cap=1), full, HOST, NOW) is None


def test_one_without_a_budget_is_not_reserved_for() -> None:
    waits = entry(2, 4, budget=None, worker="a", cap=1)
    assert turn(entry(3), [has(1, worker="a"), waits], HOST, NOW) == ()


def test_a_worker_with_a_small_budget_is_not_starved_by_one_with_a_large() -> None:
    """Who passes must leave what the first needs by its own budget, not by that of the passer."""
    small = entry(2, 1, budget=Budget(1, 10))
    assert turn(entry(3, 1), [has(1, 1), small], HOST, NOW) is None


# --- the rules -----------------------------------------------------------------------------------

asks = st.builds(
    Resources, cpus=st.sampled_from([0.5, 1.0, 2.0, 3.0, 4.0]), ram=st.integers(1, 40), gpus=st.integers(0, 2)
)
workers = st.sampled_from(["a", "b"])
CAPS = {"a": 2, "b": None}
actions = st.lists(
    st.one_of(st.tuples(asks, workers), st.integers(0, 9)),  # somebody comes; or one of those that have it ends
    max_size=40,
)


class Host:
    """A ledger as a list: all that wait look again whenever something comes or goes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.next = 1

    def come(self, wanted: Resources, worker: str, budget: Budget = HOST) -> int:
        number, self.next = self.next, self.next + 1
        self.entries.append(Entry(number, "o", str(number), wanted, worker, CAPS[worker], budget, looked=NOW))
        return number

    def settle(self, order: list[int]) -> None:
        """Let everybody look, the numbers of ``order`` first, till nothing changes."""
        before: list[Entry] = []
        while before != self.entries:
            before = list(self.entries)
            for number in [*order, *(e.number for e in before)]:
                self.look(number)

    def look(self, number: int) -> None:
        me = next((e for e in self.entries if e.number == number and not e.taken), None)
        ids = None if me is None else turn(me, self.entries, HOST, NOW)
        if me is not None and ids is not None:
            self.entries[self.entries.index(me)] = replace(me, taken=True, gpus=ids)

    @property
    def taken(self) -> list[Entry]:
        return [e for e in self.entries if e.taken]

    @property
    def waiting(self) -> list[Entry]:
        return [e for e in self.entries if not e.taken]


def check(host: Host) -> None:
    taken = host.taken
    assert sum(e.wanted.cpus for e in taken) <= HOST.cpus
    assert sum(e.wanted.ram for e in taken) <= HOST.ram
    leased = [gpu for e in taken for gpu in e.gpus]
    assert len(leased) == len(set(leased))
    assert sum(e.worker == "a" for e in taken) <= 2


@given(actions, st.randoms(use_true_random=False))
def test_whatever_comes_and_goes(things, random) -> None:  # type: ignore[no-untyped-def]
    """Never more than there is; never idle while the oldest that its worker lets go would fit; all are served."""
    host = Host()
    for thing in things:
        if isinstance(thing, tuple):
            host.come(*thing)
        elif host.taken:
            host.entries.remove(host.taken[thing % len(host.taken)])
        order = [e.number for e in host.waiting]
        random.shuffle(order)
        host.settle(order)
        check(host)
        full = sum(e.worker == "a" for e in host.taken) >= 2
        first = next((e for e in host.waiting if not (e.worker == "a" and full)), None)
        if first is not None:
            assert fits(HOST, [e.pair() for e in host.taken], first.wanted) is None
    while host.taken:
        host.entries.remove(host.taken[-1])
        host.settle([])
        check(host)
    assert host.waiting == []


@given(st.lists(asks, max_size=8), asks, st.lists(asks, min_size=1, max_size=60))
def test_nobody_starves(before: list[Resources], wanted: Resources, stream: list[Resources]) -> None:
    """Once all is given back that was there before it, the oldest has its turn, whatever came after it.

    Those that pass it never end here, and look before it does.
    """
    host = Host()
    for ask in before:
        host.look(host.come(ask, "b"))
    host.entries = host.taken
    older = {e.number for e in host.taken}
    mine = host.come(wanted, "b")
    host.look(mine)
    for ask in stream:
        host.look(host.come(ask, "b"))
    host.entries = [e for e in host.entries if e.number not in older]
    for e in host.waiting:
        if e.number != mine:
            host.look(e.number)
    host.look(mine)
    check(host)
    assert mine in {e.number for e in host.taken}
