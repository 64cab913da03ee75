"""How queues rank, in words: never silent where it is not plain, and never against the placement."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from celeriac.cli.queues.ranking import ranking
from celeriac.resources import QueueLimits, Resources, place, rank

SMALL = QueueLimits("small", cpus=1, ram=1024)
FAT = QueueLimits("fat", cpus=1, ram=65536)
FAST = QueueLimits("fast", cpus=8, ram=1024)
GPU = QueueLimits("gpu", cpus=4, ram=8192, gpus=1)

amounts = st.tuples(st.sampled_from([1.0, 2.0, 4.0]), st.sampled_from([1, 2, 4]), st.sampled_from([0, 1, 2]))
files = st.lists(amounts, min_size=1, max_size=6).map(
    lambda found: [QueueLimits(f"q{n}", cpus, ram, gpus) for n, (cpus, ram, gpus) in enumerate(found)]
)


def test_queues_that_only_grow_need_no_words() -> None:
    assert ranking([FAT, SMALL]) == []


def test_cpus_count_before_memory() -> None:
    assert ranking([FAST, FAT]) == [
        "fat (1 CPU, 65536 MiB) ranks below fast (8 CPUs, 1024 MiB): CPUs count before memory. "
        "A step of 1 CPU, 1024 MiB, which both hold, goes to fat"
    ]


def test_a_third_queue_may_take_what_both_hold() -> None:
    assert ranking([FAST, FAT, SMALL])[0].endswith("goes to small")


def test_gpus_come_last() -> None:
    words = ranking([GPU, FAST])
    assert "fast (8 CPUs, 1024 MiB) ranks below gpu (4 CPUs, 8192 MiB, 1 GPU): queues with GPUs come last" in words[0]
    assert words[1].startswith("gpu has GPUs and ranks last")
    assert ranking([GPU]) == []


def test_equal_queues_go_by_name() -> None:
    assert ranking([SMALL, QueueLimits("a", 1, 1024)]) == [
        "a and small are the same size: steps go to a, and to small only where a celeriac:queue hint names it"
    ]


def test_the_default_is_told() -> None:
    assert ranking([SMALL, QueueLimits("big", 4, 4096, default=True)])[0].startswith("big is the default")


@given(files)
def test_words_where_two_queues_exceed_each_other_and_only_there(queues: list[QueueLimits]) -> None:
    def plain(one: QueueLimits, other: QueueLimits) -> bool:
        return one.amounts != other.amounts and (one.holds(other.amounts) or other.holds(one.amounts))

    words = [text for text in ranking(queues) if " ranks below " in text or " same size" in text]
    assert bool(words) == (not all(plain(*pair) for pair in combinations(queues, 2)))


@given(files)
def test_the_words_are_true(queues: list[QueueLimits]) -> None:
    named = {queue.name: queue for queue in queues}
    for text in ranking(queues):
        if " ranks below " not in text:
            continue
        low, _, rest = text.partition(" ranks below ")
        one, other = named[low.split()[0]], named[rest.split()[0]]
        assert rank(one) < rank(other)
        both = Resources(min(one.cpus, other.cpus), min(one.ram, other.ram), min(one.gpus, other.gpus))
        assert text.endswith(f"goes to {place(both, queues).name}")
