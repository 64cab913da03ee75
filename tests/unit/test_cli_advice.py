"""What tools used becomes numbers, and a queue that would do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from celeriac.cli.queues.advice import LEAST_RAM, Spread, Usage, advise, percentile, spread
from celeriac.resources import QueueLimits, Resources

QUEUES = [QueueLimits("default", cpus=1, ram=2048), QueueLimits("advanced", cpus=4, ram=16384)]
SOME = Usage(
    tool="align",
    attempts=20,
    least=Resources(1, 1000),
    most=Resources(1, 1000),
    memory=Spread(500, 700, 800),
    cpus=Spread(0.8, 0.9, 1.0),
)
numbers = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@given(numbers, st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], percent: int) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


@given(numbers)
def test_a_spread_rises(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert min(values) <= found.p50 <= found.p95 <= found.most == max(values)


def test_nothing_measured_is_no_spread() -> None:
    assert spread([]) is None
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


def test_an_ask_that_fits() -> None:
    found = advise(SOME, QUEUES)
    assert found.needs == Resources(1, 960)  # a fifth to spare
    assert found.queue == QUEUES[0]
    assert list(found.words) == ["default is right"]


def test_an_ask_far_above_the_use() -> None:
    found = advise(replace(SOME, most=Resources(4, 8000)), QUEUES)
    assert found.queue == QUEUES[0]
    assert list(found.words) == [
        "asks 8000 MiB, used 800 at most: 960 MiB would do",
        "asks 4 CPUs, used 0.9: 1 would do",
        "default would do rather than advanced",
    ]


def test_an_ask_below_the_use() -> None:
    small = Resources(1, 256)
    found = advise(replace(SOME, least=small, most=small, memory=Spread(1900, 1900, 1900)), QUEUES)
    assert found.queue == QUEUES[1]
    assert list(found.words) == [
        "asks 256 MiB, but used 1900 at most: 2280 MiB would be safe",
        "advanced would do, default is too small",
    ]


def test_more_memory_than_the_one_had_that_ran_out_of_it() -> None:
    found = advise(replace(SOME, out_of_memory=3, memory_had=2048, memory=None), QUEUES)
    assert (found.needs, found.queue) == (Resources(1, 2049), QUEUES[1])
    assert found.words[0] == "3 of 20 ran out of memory with 2048 MiB: it needs 2049 MiB or more"


def test_a_tool_that_no_queue_holds() -> None:
    found = advise(replace(SOME, memory=Spread(1, 1, 99999)), QUEUES)
    assert found.queue is None
    assert found.words[-1].startswith("no queue holds 1 CPU, 119999 MiB")


def test_what_was_not_measured_counts_as_it_is_asked() -> None:
    found = advise(replace(SOME, memory=None), QUEUES)
    assert found.needs == Resources(1, 1000)
    assert "its memory was not measured, so its ask counts" in found.words
    assert advise(replace(SOME, cpus=None), QUEUES).needs == Resources(1, 960)
    assert advise(replace(SOME, memory=None, cpus=None), QUEUES).queue is None


def test_few_attempts_are_told() -> None:
    assert advise(replace(SOME, attempts=1), QUEUES).words[-1] == "seen 1 time only"


uses = st.builds(lambda values: spread(sorted(values)), st.lists(st.floats(0, 1e5), min_size=1, max_size=5))


@given(uses, uses, st.integers(1, 100000), st.floats(0.1, 64), st.none() | st.integers(1, 100000))
def test_the_advice_holds_all_that_was_seen(
    memory: Spread, cpus: Spread, ram: int, cores: float, had: int | None
) -> None:
    ask = Resources(cores, ram)
    usage = replace(SOME, least=ask, most=ask, memory=memory, cpus=cpus, memory_had=had, out_of_memory=had is not None)
    found = advise(usage, QUEUES)
    assert found.needs is not None
    assert found.needs.ram >= memory.most and found.needs.ram >= min(LEAST_RAM, ram)
    assert had is None or found.needs.ram > had
    assert found.queue is None or found.queue.holds(found.needs)
