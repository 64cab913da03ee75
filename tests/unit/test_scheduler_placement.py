"""What a step is granted where it goes, and the rungs that it climbs when it ran out of memory."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from celeriac.errors import PlacementError
from celeriac.resources import Ask, QueueLimits, Resources, rank
from celeriac.scheduler.placement import Placement, climb, grant, placement

DEFAULT = QueueLimits("default", cpus=1, ram=1024)
ADVANCED = QueueLimits("advanced", cpus=2, ram=2048)
LADDER = (ADVANCED, DEFAULT)

CPUS = st.one_of(st.integers(0, 6).map(float), st.floats(0, 6))
NAMES = st.text("abc", min_size=1, max_size=2)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """A least, and a most that is none or not below it, as a document gives them."""
    least = Resources(draw(CPUS), draw(st.integers(0, 6)), draw(st.integers(0, 1)))
    cpus = draw(st.none() | st.floats(least.cpus, 12))
    ram = draw(st.none() | st.integers(least.ram, 12))
    return Ask(least, cpus=cpus, ram=ram, queue=draw(st.none() | NAMES), silent=draw(st.booleans()))


QUEUES = st.lists(
    st.builds(
        QueueLimits,
        name=NAMES,
        cpus=st.one_of(st.integers(1, 8).map(float), st.floats(0.25, 8)),
        ram=st.integers(1, 10),
        gpus=st.integers(0, 2),
    ),
    max_size=6,
    unique_by=lambda queue: queue.name,
)


@st.composite
def tables(draw: st.DrawFn) -> list[QueueLimits]:
    """Queues, of which one at most is marked as the default."""
    queues = draw(QUEUES)
    marked = draw(st.none() | st.integers(0, len(queues) - 1)) if queues else None
    return [replace(queue, default=number == marked) for number, queue in enumerate(queues)]


def placed(ask: Ask, queues: list[QueueLimits], limited: bool = True) -> tuple[QueueLimits, Resources] | None:
    """Return where an ask goes and what it is granted there; None where it goes nowhere."""
    try:
        found = placement(ask, queues, limited=limited, step="s")
    except PlacementError:
        return None
    return next(queue for queue in queues if queue.name == found.queue), found.granted


# --- where it goes -------------------------------------------------------------------------------


@given(asks(), tables())
def test_a_place_is_found_exactly_where_some_queue_holds_the_ask(ask: Ask, queues: list[QueueLimits]) -> None:
    may_take = [queue for queue in queues if ask.queue in (None, queue.name)]
    found = placed(ask, queues)
    assert (found is not None) is any(queue.holds(ask.least) for queue in may_take)
    if found is not None:
        assert found[0] in may_take and found[0].holds(ask.least)


@given(asks(), tables())
def test_it_is_the_smallest_unless_one_is_named_or_preferred(ask: Ask, queues: list[QueueLimits]) -> None:
    found = placed(ask, queues)
    assume(found is not None)
    assert found is not None
    smallest = min((queue for queue in queues if queue.holds(ask.least)), key=rank)
    preferred = [queue for queue in queues if queue.default and queue.holds(ask.least)] if ask.silent else []
    if ask.queue is not None:
        assert found[0].name == ask.queue
    else:
        assert found[0] == (preferred or [smallest])[0]


@given(asks(), tables(), st.randoms(use_true_random=False))
def test_the_order_of_the_file_never_matters(ask, queues, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(queues)
    random.shuffle(shuffled)
    assert placed(ask, shuffled) == placed(ask, queues)
    for queue in queues:
        had = Placement(queue.name, ask.least)
        assert climb(ask, had, shuffled) == climb(ask, had, queues)


@given(asks(), tables())
def test_a_queue_that_others_do_not_need_may_come_and_go(ask: Ask, queues: list[QueueLimits]) -> None:
    """Without any of the queues that were not taken the place is the same."""
    found = placed(ask, queues)
    assume(found is not None)
    assert found is not None
    for other in queues:
        if other != found[0]:
            assert placed(ask, [queue for queue in queues if queue != other]) == found


# --- what it is granted --------------------------------------------------------------------------


@given(asks(), tables())
def test_a_grant_is_within_the_queue_and_never_below_the_least(ask: Ask, queues: list[QueueLimits]) -> None:
    found = placed(ask, queues)
    assume(found is not None)
    assert found is not None
    queue, granted = found
    assert queue.holds(granted)
    assert granted.cpus >= ask.least.cpus and granted.ram >= ask.least.ram
    assert granted.gpus == ask.least.gpus, "GPUs that nobody asked for stay free"


@given(asks(), tables())
def test_a_grant_is_the_most_where_there_is_one_and_the_queue_s_own_where_not(
    ask: Ask, queues: list[QueueLimits]
) -> None:
    for queue in queues:
        if queue.holds(ask.least):
            granted = grant(ask, queue)
            assert granted.cpus == (queue.cpus if ask.cpus is None else min(ask.cpus, queue.cpus))
            assert granted.ram == (queue.ram if ask.ram is None else min(ask.ram, queue.ram))


@given(asks(), tables())
def test_where_the_queue_is_the_host_the_least_is_granted(ask: Ask, queues: list[QueueLimits]) -> None:
    found = placed(ask, queues, limited=False)
    assert (found is not None) is any(queue.holds(ask.least) for queue in queues), "a name is left out of account"
    if found is not None:
        assert found[1] == ask.least


@pytest.mark.parametrize(
    ("ask", "queue", "granted"),
    [
        (Ask(Resources(1, 256)), "default", Resources(1, 1024)),
        (Ask(Resources(1, 256), cpus=1, ram=256), "default", Resources(1, 256)),
        (Ask(Resources(1, 512), ram=4096), "default", Resources(1, 1024)),
        (Ask(Resources(2, 256), cpus=2), "advanced", Resources(2, 2048)),
        (Ask(Resources(0.5, 1025), cpus=0.5, ram=1500), "advanced", Resources(0.5, 1500)),
        (Ask(Resources(1, 256), cpus=1, ram=256, queue="advanced"), "advanced", Resources(1, 256)),
    ],
)
def test_grants_on_the_ladder_of_two(ask: Ask, queue: str, granted: Resources) -> None:
    found = placement(ask, LADDER)
    assert (found.queue, found.granted) == (queue, granted)


def test_a_named_queue_that_is_too_small_is_an_error_that_names_the_step() -> None:
    with pytest.raises(PlacementError, match="step align asks for 2 CPUs, 256 MiB, which the chosen queue default"):
        placement(Ask(Resources(2, 256), queue="default"), LADDER, step="align")
    with pytest.raises(PlacementError, match="queue big, which does not exist"):
        placement(Ask(Resources(1, 256), queue="big"), LADDER, step="align")


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf])
def test_an_ask_that_is_no_amount_goes_nowhere(amount: float) -> None:
    for limited in (True, False):
        with pytest.raises(PlacementError, match="finite and not negative"):
            placement(Ask(Resources(amount, 1)), LADDER, limited=limited, step="align")


# --- the ladder ----------------------------------------------------------------------------------


@given(asks(), tables())
def test_each_rung_has_more_memory_and_the_ladder_has_a_top(ask: Ask, queues: list[QueueLimits]) -> None:
    found = placed(ask, queues)
    assume(found is not None)
    assert found is not None
    had, rungs = placement(ask, queues), 0
    while (rung := climb(ask, had, queues)) is not None:
        queue = next(queue for queue in queues if queue.name == rung.queue)
        assert rung.granted.ram > had.granted.ram
        assert rung.granted.ram == queue.ram, "all of its memory"
        assert queue.holds(ask.least) and queue.holds(rung.granted)
        assert rung.granted.cpus == grant(ask, queue).cpus and rung.granted.gpus == ask.least.gpus
        had, rungs = rung, rungs + 1
    assert rungs <= len(queues)


@given(asks(), st.integers(0, 12), tables())
def test_the_next_rung_is_the_smallest_with_more_memory(ask: Ask, memory: int, queues: list[QueueLimits]) -> None:
    """More than the queue it was on; where there is none, more than it had there; else it is the top."""
    for own in queues:
        had = Resources(ask.least.cpus, max(memory, ask.least.ram), ask.least.gpus)
        holding = [queue for queue in queues if queue.holds(ask.least) and queue.ram > had.ram]
        larger = [queue for queue in holding if queue.ram > own.ram] or holding
        rung = climb(ask, Placement(own.name, had), queues)
        assert (rung is None) is (not larger)
        if rung is not None:
            assert rung.queue == min(larger, key=rank).name


def test_the_ladder_of_two() -> None:
    ask = Ask(Resources(1, 512), ram=512)
    rungs = []
    rung: Placement | None = placement(ask, LADDER)
    while rung is not None:
        rungs.append((rung.queue, rung.granted.ram))
        rung = climb(ask, rung, LADDER)
    assert rungs == [("default", 512), ("advanced", 2048)]


def test_a_step_that_is_on_the_largest_queue_gets_the_rest_of_its_memory() -> None:
    ask = Ask(Resources(2, 512), ram=512)
    rung = climb(ask, placement(ask, LADDER), LADDER)
    assert rung == Placement("advanced", Resources(2, 2048))
    assert rung is not None and climb(ask, rung, LADDER) is None


def test_a_step_leaves_the_queue_that_it_named_when_that_has_no_more_memory() -> None:
    ask = Ask(Resources(1, 256), queue="default")
    rung = climb(ask, Placement("default", Resources(1, 1024)), LADDER)
    assert rung is not None
    assert (rung.queue, rung.granted) == ("advanced", Resources(2, 2048))


def test_more_memory_is_no_reason_to_take_a_gpu_where_a_queue_without_has_it() -> None:
    queues = [*LADDER, QueueLimits("gpu", cpus=1, ram=1536, gpus=1)]
    rung = climb(Ask(Resources(1, 256)), Placement("default", Resources(1, 1024)), queues)
    assert rung is not None and rung.queue == "advanced"
    rung = climb(Ask(Resources(1, 256, gpus=1)), Placement("default", Resources(1, 1024)), queues)
    assert rung is not None and rung.queue == "gpu"
