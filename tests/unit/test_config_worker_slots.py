"""How many steps a worker runs at once, from what its host has and what `-c` and `-Q` say."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.errors import HostTooSmall
from celeriac.resources import Budget, QueueLimits
from config.worker_slots import WorkerSlots, of_options, worker_slots
from queues.budget import slots

HOST = Budget(cpus=4, ram=6000)
SMALL, LARGE = QueueLimits("small", cpus=1, ram=1024), QueueLimits("large", cpus=2, ram=2048)
HUGE = QueueLimits("huge", cpus=16, ram=64000)


def worker(
    *queues: QueueLimits, asked: int | None = None, named: bool = True, oversubscribe: bool = False
) -> WorkerSlots:
    return worker_slots(HOST, queues, asked, named=named, oversubscribe=oversubscribe)


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


@pytest.mark.parametrize(
    ("queues", "at_once"), [((SMALL,), 4), ((LARGE,), 2), ((SMALL, LARGE), 4), ((LARGE, SMALL), 4)]
)
def test_as_many_as_the_host_holds_of_its_smallest(queues: tuple[QueueLimits, ...], at_once: int) -> None:
    found = worker(*queues)
    assert (found.at_once, found.bounded) == (at_once, True)
    assert found.by_queue == {queue.name: slots(HOST, queue) for queue in queues}


def test_a_named_queue_of_which_not_one_step_fits_is_refused_with_the_sum() -> None:
    with pytest.raises(HostTooSmall) as caught:
        worker(SMALL, HUGE)
    message = caught.value.message
    assert message.startswith("a worker for queue huge can't start here: this host has 4 CPUs and 6000 MiB")
    assert "queue huge needs 16 CPUs, 64000 MiB a step: 0 fit (by CPUs 0, by memory 0)" in message
    assert "--oversubscribe" in caught.value.hint
    assert caught.value.fields["queue"] == "huge"


def test_a_queue_that_nobody_named_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    found = worker(SMALL, HUGE, named=False)
    assert (found.at_once, found.by_queue) == (4, {"small": 4})
    assert "queue huge is not served here" in said(caplog) and "64000 MiB" in said(caplog)


def test_where_not_one_queue_fits_nothing_is_left_to_serve() -> None:
    with pytest.raises(HostTooSmall, match="queue huge can't start here"):
        worker(HUGE, named=False)


@pytest.mark.parametrize(("asked", "at_once"), [(1, 1), (3, 3), (4, 4)])
def test_less_may_be_asked_for(asked: int, at_once: int, caplog: pytest.LogCaptureFixture) -> None:
    found = worker(SMALL, LARGE, asked=asked)
    assert found == WorkerSlots(at_once, {"small": 4, "large": 2}, bounded=True)
    assert said(caplog) == ""


def test_more_than_the_host_holds_is_not_run_and_said(caplog: pytest.LogCaptureFixture) -> None:
    found = worker(SMALL, LARGE, asked=9)
    assert (found.at_once, found.bounded) == (4, True)
    assert "-c 9 is more than this host holds, so it runs 4 steps at once" in said(caplog)
    assert "queue small needs 1 CPU, 1024 MiB a step: 4 fit" in said(caplog)
    assert "--oversubscribe takes 9" in said(caplog)


def test_what_is_left_out_is_no_part_of_the_sum(caplog: pytest.LogCaptureFixture) -> None:
    worker(SMALL, HUGE, asked=9, named=False)
    assert "huge" not in next(record.getMessage() for record in caplog.records if "-c 9" in record.getMessage())


@pytest.mark.parametrize(
    ("queues", "asked", "at_once"),
    [
        ((SMALL,), 9, 9),
        ((SMALL,), None, 4),
        ((HUGE,), None, 1),
        ((HUGE,), 3, 3),
        ((SMALL, HUGE), None, 4),
        ((), None, 1),
    ],
)
def test_oversubscribe_takes_what_is_asked_for(
    queues: tuple[QueueLimits, ...], asked: int | None, at_once: int
) -> None:
    found = worker(*queues, asked=asked, oversubscribe=True)
    assert (found.at_once, found.bounded) == (at_once, False)
    assert set(found.by_queue) == {queue.name for queue in queues}, "all are served"


QUEUES = st.lists(
    st.builds(
        QueueLimits,
        name=st.text("abc", min_size=1, max_size=3),
        cpus=st.one_of(st.integers(1, 8).map(float), st.floats(0.25, 8)),
        ram=st.integers(1, 9000),
        gpus=st.integers(0, 2),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda queue: queue.name,
)
BUDGETS = st.builds(
    Budget,
    cpus=st.floats(0.5, 64),
    ram=st.integers(1, 64000),
    gpus=st.lists(st.sampled_from("0123"), unique=True).map(tuple),
)


@given(BUDGETS, QUEUES, st.none() | st.integers(1, 100), st.booleans())
def test_a_worker_never_has_more_than_its_host_holds(
    budget: Budget, queues: list[QueueLimits], asked: int | None, named: bool
) -> None:
    held = {queue.name: slots(budget, queue) for queue in queues}
    refused = (min if named else max)(held.values()) == 0
    try:
        found = worker_slots(budget, queues, asked, named=named, oversubscribe=False)
    except HostTooSmall:
        assert refused
        return
    assert not refused and found.bounded
    assert found.by_queue == {name: number for name, number in held.items() if number}
    assert 1 <= found.at_once == min(asked or 10**9, max(held.values()))


@pytest.mark.parametrize("given_", [None, "auto", 0])
def test_no_number_is_given(given_: object) -> None:
    assert of_options(given_) is None


def test_a_number_is_given() -> None:
    assert of_options(3) == 3


@pytest.mark.parametrize("given_", [-1, "three", 1.5])
def test_what_is_no_number_of_steps_ends_the_worker(given_: object) -> None:
    with pytest.raises(SystemExit, match="-c is .*, but a number of 1 or more was expected"):
        of_options(given_)
