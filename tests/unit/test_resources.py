"""Placement: the smallest queue that holds the ask, whatever the order of the file."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.errors import PlacementError
from celeriac.resources import Ask, QueueLimits, Resources, explain, largest, place, rank

ADVANCED = QueueLimits("advanced", cpus=2, ram=2048)
DEFAULT = QueueLimits("default", cpus=1, ram=1024)
LADDER = (ADVANCED, DEFAULT)

asks = st.builds(
    Resources,
    cpus=st.one_of(st.integers(0, 4).map(float), st.floats(0, 4)),
    ram=st.integers(0, 4),
    gpus=st.integers(0, 1),
)
queue_lists = st.lists(
    st.builds(
        QueueLimits,
        name=st.text("abcdef", min_size=1, max_size=3),
        cpus=st.one_of(st.integers(1, 6).map(float), st.floats(0.25, 6)),
        ram=st.integers(1, 6),
        gpus=st.integers(0, 2),
    ),
    max_size=8,
    unique_by=lambda queue: queue.name,
)


def placed(ask: Resources, queues: list[QueueLimits]) -> QueueLimits | None:
    try:
        return place(ask, queues, step="s")
    except PlacementError:
        return None


# --- the rules -----------------------------------------------------------------------------------


@given(asks, queue_lists)
def test_placement_is_total(ask: Resources, queues: list[QueueLimits]) -> None:
    """There is an answer exactly when some queue holds the ask, and the answer holds it."""
    fitting = [q for q in queues if ask.cpus <= q.cpus and ask.ram <= q.ram and ask.gpus <= q.gpus]
    found = placed(ask, queues)
    assert (found in fitting) if fitting else (found is None)


@given(asks, queue_lists)
def test_placement_is_minimal(ask: Resources, queues: list[QueueLimits]) -> None:
    """Nothing that holds the ask is smaller: by GPUs or none, then CPUs, then memory."""
    found = placed(ask, queues)
    for other in queues:
        if other.holds(ask):
            assert found is not None
            assert (found.gpus > 0, found.cpus, found.ram) <= (other.gpus > 0, other.cpus, other.ram)


@given(asks, queue_lists, st.randoms(use_true_random=False))
def test_placement_does_not_depend_on_the_order_of_the_queues(ask, queues, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(queues)
    random.shuffle(shuffled)
    assert placed(ask, shuffled) == placed(ask, queues)
    assert explain(ask, shuffled) == explain(ask, queues)
    assert largest(shuffled) == largest(queues)


@given(queue_lists)
def test_rank_is_a_total_order(queues: list[QueueLimits]) -> None:
    assert len({rank(queue) for queue in queues}) == len(queues)


@given(asks, asks, queue_lists)
def test_a_larger_ask_never_goes_to_a_smaller_queue(
    one: Resources, other: Resources, queues: list[QueueLimits]
) -> None:
    more = Resources(max(one.cpus, other.cpus), max(one.ram, other.ram), max(one.gpus, other.gpus))
    small, large = placed(one, queues), placed(more, queues)
    if large is not None:
        assert small is not None
        assert rank(small) <= rank(large)


@given(asks, queue_lists)
def test_gpu_queues_are_left_to_those_who_ask(ask: Resources, queues: list[QueueLimits]) -> None:
    found = placed(ask, queues)
    if found is not None and found.gpus and not ask.gpus:
        assert not any(queue.holds(ask) for queue in queues if not queue.gpus)


@given(asks, queue_lists)
def test_explain_tells_what_place_does(ask: Resources, queues: list[QueueLimits]) -> None:
    reasons = explain(ask, queues)
    assert [queue for queue, _ in reasons] == sorted(queues, key=rank)
    taken = [queue for queue, reason in reasons if reason.startswith("taken")]
    found = placed(ask, queues)
    assert taken == ([found] if found else [])
    for queue, reason in reasons:
        assert reason.startswith("too small") is not queue.holds(ask)


@given(queue_lists)
def test_the_largest_hold_all_that_any_queue_holds(queues: list[QueueLimits]) -> None:
    front = largest(queues)
    for queue in queues:
        assert any(top.holds(Resources(queue.cpus, queue.ram, queue.gpus)) for top in front)
    assert bool(front) is bool(queues)


@given(asks, queue_lists)
def test_a_chosen_queue_is_taken_or_refused_but_never_replaced(
    ask: Resources, queues: list[QueueLimits]
) -> None:
    for queue in queues:
        if queue.holds(ask):
            assert place(ask, queues, queue.name) == queue
        else:
            with pytest.raises(PlacementError):
                place(ask, queues, queue.name)


# --- examples ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "queue"),
    [
        (Resources(1, 1024), "default"),
        (Resources(1, 1025), "advanced"),
        (Resources(1.5, 100), "advanced"),
        (Resources(2, 2048), "advanced"),
        (Resources(0, 0), "default"),
    ],
)
def test_the_ladder_of_two(ask: Resources, queue: str) -> None:
    assert place(ask, LADDER).name == queue


def test_cpus_rank_before_memory() -> None:
    fat = QueueLimits("fat", cpus=1, ram=65536)
    fast = QueueLimits("fast", cpus=8, ram=1024)
    assert place(Resources(1, 512), [fast, fat]) == fat
    assert place(Resources(2, 512), [fast, fat]) == fast


def test_the_next_larger_memory_is_an_ask_like_any_other() -> None:
    assert place(Resources(1, DEFAULT.ram + 1), LADDER) == ADVANCED


def test_a_gpu_queue_takes_others_when_nothing_else_holds_them() -> None:
    gpu = QueueLimits("gpu", cpus=8, ram=32768, gpus=1)
    small_gpu = QueueLimits("small-gpu", cpus=0.5, ram=64, gpus=1)
    queues = [small_gpu, gpu, *LADDER]
    assert place(Resources(0.5, 64), queues) == DEFAULT
    assert place(Resources(0.5, 64, gpus=1), queues) == small_gpu
    assert place(Resources(4, 64), queues) == gpu
    assert ("no queue without GPUs does" in dict(explain(Resources(4, 64), queues))[gpu]) is True


def test_equal_queues_go_by_name() -> None:
    assert place(Resources(1, 1), [QueueLimits("b", 1, 1), QueueLimits("a", 1, 1)]).name == "a"


def test_a_step_that_asks_nothing_prefers_the_default_queue() -> None:
    marked = QueueLimits("main", cpus=4, ram=4096, default=True)
    silent = Resources(1, 256)
    assert place(silent, [*LADDER, marked], prefer_default=True) == marked
    assert place(silent, [*LADDER, marked], "advanced", prefer_default=True) == ADVANCED
    assert place(silent, [*LADDER, marked]) == DEFAULT
    assert place(silent, LADDER, prefer_default=True) == DEFAULT
    reasons = {queue.name: why for queue, why in explain(silent, [*LADDER, marked], prefer_default=True)}
    assert reasons["main"] == "taken: the default for steps that ask for nothing"
    assert reasons["default"] == "holds it, but main is the default"


def test_a_default_queue_too_small_for_cwl_is_passed_over() -> None:
    tiny = QueueLimits("tiny", cpus=0.5, ram=128, default=True)
    assert place(Resources(1, 256), [tiny, *LADDER], prefer_default=True) == DEFAULT


def test_a_chosen_queue_is_explained() -> None:
    reasons = {queue.name: why for queue, why in explain(Resources(1, 1), LADDER, "advanced")}
    assert reasons == {
        "default": "holds it, but the step asks for advanced",
        "advanced": "taken: the step asks for it by name",
    }


@given(asks, queue_lists)
def test_an_ask_survives_the_journal(least: Resources, queues: list[QueueLimits]) -> None:
    for ask in (Ask(least), Ask(least, cpus=4.0, ram=9, tmpdir=1, outdir=2, queue="a", silent=True)):
        assert Ask.from_json(json.loads(json.dumps(ask.to_json()))) == ask
    for queue in queues:
        assert QueueLimits(**json.loads(json.dumps(queue.to_json()))) == queue


# --- errors --------------------------------------------------------------------------------------


def test_too_large_names_the_step_the_ask_and_the_largest() -> None:
    with pytest.raises(PlacementError) as caught:
        place(Resources(8, 16384), LADDER, step="align")
    error = caught.value
    assert error.message == (
        "step align asks for 8 CPUs, 16384 MiB, which no queue holds; "
        "the largest is advanced (2 CPUs, 2048 MiB)"
    )
    assert error.hint
    assert error.fields["step"] == "align"
    assert error.fields["largest"] == ["advanced"]
    json.dumps(error.to_dict(), allow_nan=False)


def test_every_queue_that_is_the_largest_in_its_way_is_named() -> None:
    fat = QueueLimits("fat", cpus=1, ram=65536)
    with pytest.raises(
        PlacementError, match=r"are fat \(1 CPU, 65536 MiB\) and advanced \(2 CPUs, 2048 MiB\)"
    ):
        place(Resources(2, 65536), [fat, *LADDER], step="align")


def test_gpus_that_nobody_has() -> None:
    with pytest.raises(PlacementError, match="asks for 1 CPU, 256 MiB, 1 GPU, which no queue holds"):
        place(Resources(1, 256, gpus=1), LADDER, step="train")


def test_no_queues_at_all() -> None:
    with pytest.raises(PlacementError, match="there are no queues"):
        place(Resources(1, 1), [], step="align")


def test_a_chosen_queue_that_is_not_there() -> None:
    with pytest.raises(
        PlacementError, match="queue big, which does not exist; the queues are: default, advanced"
    ):
        place(Resources(1, 1), LADDER, "big", step="align")


def test_a_chosen_queue_that_is_too_small_says_by_what() -> None:
    with pytest.raises(PlacementError) as caught:
        place(Resources(2, 512), LADDER, "default", step="align")
    assert "step align asks for 2 CPUs, 512 MiB" in caught.value.message
    assert "default (1 CPU, 1024 MiB) does not hold (2 CPUs asked, 1 there)" in caught.value.message


@pytest.mark.parametrize(
    "ask",
    [Resources(-1, 1), Resources(1, -1), Resources(1, 1, -1), Resources(math.nan, 1), Resources(math.inf, 1)],
    ids=str,
)
def test_an_ask_that_is_no_amount(ask: Resources) -> None:
    with pytest.raises(PlacementError, match=r"step align asks for .* finite and not negative") as caught:
        place(ask, LADDER, step="align")
    json.dumps(caught.value.to_dict(), allow_nan=False)


def test_absurdly_large_whole_numbers_are_compared_exactly() -> None:
    huge = QueueLimits("huge", cpus=1, ram=10**30)
    assert place(Resources(1, 10**30), [huge]) == huge
    with pytest.raises(PlacementError):
        place(Resources(1, 10**30 + 1), [huge])
    with pytest.raises(PlacementError):
        place(Resources(1, 10**400), [huge])
