"""What fits on a host: never more than there is, and as much as a person would count."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.resources import Budget, QueueLimits, Resources
from queues.budget import Taken, fits, shared, slots, sum_of

cpu_amounts = st.one_of(st.integers(0, 8).map(float), st.integers(1, 80).map(lambda n: n / 10), st.floats(0, 8))
wanted = st.builds(Resources, cpus=cpu_amounts, ram=st.integers(0, 8), gpus=st.integers(0, 3))
budgets = st.builds(
    Budget,
    cpus=st.one_of(st.integers(1, 16).map(float), st.floats(1, 16)),
    ram=st.integers(1, 16),
    gpus=st.lists(st.sampled_from("0123456"), unique=True, max_size=4).map(tuple),
)
#: What the sum may be off: CPUs are exact to a millionth for each step.
OFF = 2e-6


def filled(budget: Budget, asks: list[Resources]) -> list[Taken]:
    """Take what fits, one after another."""
    taken: list[Taken] = []
    for ask in asks:
        ids = fits(budget, taken, ask)
        if ids is not None:
            taken.append((ask, ids))
    return taken


@given(budgets, st.lists(wanted, max_size=12))
def test_the_budget_is_never_exceeded(budget: Budget, asks: list[Resources]) -> None:
    taken = filled(budget, asks)
    assert math.fsum(ask.cpus for ask, _ in taken) <= budget.cpus + OFF * len(asks)
    assert sum(ask.ram for ask, _ in taken) <= budget.ram
    leased = [gpu for _, ids in taken for gpu in ids]
    assert len(leased) == len(set(leased))
    assert set(leased) <= set(budget.gpus)
    assert all(len(ids) == ask.gpus for ask, ids in taken)


@given(budgets, st.lists(wanted, max_size=12), wanted)
def test_what_is_refused_does_not_fit(budget: Budget, asks: list[Resources], more: Resources) -> None:
    taken = filled(budget, asks)
    if fits(budget, taken, more) is None:
        leased = sum(len(ids) for _, ids in taken)
        assert (
            math.fsum(ask.cpus for ask, _ in taken) + more.cpus > budget.cpus - OFF * len(asks)
            or sum(ask.ram for ask, _ in taken) + more.ram > budget.ram
            or leased + more.gpus > len(budget.gpus)
        )


@given(budgets, st.lists(wanted, max_size=8), wanted, st.randoms(use_true_random=False))
def test_the_order_of_what_is_taken_does_not_matter(budget, asks, more, random) -> None:  # type: ignore[no-untyped-def]
    taken = filled(budget, asks)
    shuffled = list(taken)
    random.shuffle(shuffled)
    assert fits(budget, shuffled, more) == fits(budget, taken, more)
    assert shared(budget, shuffled, more) == shared(budget, taken, more)


@given(budgets, wanted, wanted)
def test_who_wants_less_fits_where_more_does(budget: Budget, one: Resources, other: Resources) -> None:
    less = Resources(min(one.cpus, other.cpus), min(one.ram, other.ram), min(one.gpus, other.gpus))
    if fits(budget, [], one) is not None:
        assert fits(budget, [], less) is not None


@given(st.integers(1, 64), st.integers(1, 50))
def test_fractions_add_up_as_a_person_counts(cpus: int, parts: int) -> None:
    """Fifty times a fiftieth is one."""
    part, budget, number = Resources(1 / parts, 1), Budget(cpus, 10_000), cpus * parts
    assert fits(budget, [(part, ())] * (number - 1), part) == ()
    assert fits(budget, [(part, ())] * number, part) is None
    assert slots(budget, QueueLimits("q", 1 / parts, 1)) == number


@given(st.integers(1, 640), st.integers(1, 640))
def test_tenths_are_exact(there: int, asked: int) -> None:
    expected = Fraction(there, 10) // Fraction(asked, 10)
    assert slots(Budget(there / 10, 10_000), QueueLimits("q", asked / 10, 1)) == expected


def test_an_infinite_ask_never_fits() -> None:
    assert fits(Budget(1e9, 10), [], Resources(math.inf, 1)) is None


def test_the_least_amount_is_not_free() -> None:
    assert fits(Budget(1, 10), [(Resources(1, 1), ())], Resources(1e-12, 1)) is None


def test_gpus_are_leased_in_the_order_of_the_budget() -> None:
    budget = Budget(8, 80, ("2", "0", "1"))
    assert fits(budget, [], Resources(1, 1, 2)) == ("2", "0")
    assert fits(budget, [(Resources(1, 1, 1), ("2",))], Resources(1, 1, 2)) == ("0", "1")
    assert fits(budget, [(Resources(1, 1, 2), ("2", "1"))], Resources(1, 1, 2)) is None
    assert fits(budget, [(Resources(1, 1, 1), ("9",))], Resources(1, 1, 3)) == ("2", "0", "1")


def test_no_gpus_asked_is_not_the_same_as_none_there() -> None:
    assert fits(Budget(1, 10), [], Resources(1, 10)) == ()
    assert fits(Budget(1, 10), [], Resources(1, 10, 1)) is None


def test_shared_gpus_are_those_that_the_fewest_lease() -> None:
    budget = Budget(1, 1, ("0", "1"))
    taken: list[Taken] = [(Resources(1, 1, 1), ("0",))]
    assert shared(budget, taken, Resources(99, 99, 1)) == ("1",)
    assert shared(budget, [*taken, *taken, (Resources(1, 1, 1), ("1",))], Resources(99, 99, 1)) == ("1",)
    assert shared(budget, taken, Resources(99, 99, 2)) == ("1", "0")
    assert shared(budget, taken, Resources(0, 0, 3)) is None


# --- how many steps of a queue -------------------------------------------------------------------


@given(budgets, st.builds(QueueLimits, st.just("q"), cpu_amounts.filter(bool), st.integers(1, 8), st.integers(0, 2)))
def test_as_many_slots_as_can_be_taken(budget: Budget, queue: QueueLimits) -> None:
    number = min(slots(budget, queue), 50)
    step = Resources(queue.cpus, queue.ram, queue.gpus)
    assert len(filled(budget, [step] * (number + 1))) == (number if number < 50 else 51)


@pytest.mark.parametrize(
    ("budget", "queue", "number", "text"),
    [
        (
            Budget(2, 1500),
            QueueLimits("advanced", 2, 2048),
            0,
            "this host has 2 CPUs and 1500 MiB; queue advanced needs 2 CPUs, 2048 MiB a step: "
            "0 fit (by CPUs 1, by memory 0)",
        ),
        (
            Budget(8, 64_000, ("0", "1")),
            QueueLimits("vision", 1.5, 4096, gpus=1),
            2,
            "this host has 8 CPUs, 64000 MiB and 2 GPUs; queue vision needs 1.5 CPUs, 4096 MiB, 1 GPU a step: "
            "2 fit (by CPUs 5, by memory 15, by GPUs 2)",
        ),
        (
            Budget(2, 64_000, ("0",)),
            QueueLimits("tiny", 0.1, 1),
            20,
            "this host has 2 CPUs, 64000 MiB and 1 GPU; queue tiny needs 0.1 CPUs, 1 MiB a step: "
            "20 fit (by CPUs 20, by memory 64000)",
        ),
    ],
)
def test_the_sum_in_words(budget: Budget, queue: QueueLimits, number: int, text: str) -> None:
    assert slots(budget, queue) == number
    assert sum_of(budget, queue) == text
