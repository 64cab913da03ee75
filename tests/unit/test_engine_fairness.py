"""Fairness: what one run has under way is bounded, all of it runs, and other runs come through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from celeriac.engine import presence
from celeriac.errors import KilledFromOutside
from celeriac.resources import Budget
from tests.unit.engine_documents import SCATTER, SUBWORKFLOW, output, step, tool, workflow, write
from tests.unit.engine_harness import INTERVAL, Message, World, add, world

FEW = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
LONG, SHORT = 60.0, 0.5
SLOTS = 4


def there(cluster: World, slots: int = SLOTS, name: str = "worker") -> None:
    """Have a worker tell that it is there, and runs so many steps at once."""
    teller = cluster.worker()
    cluster.workers.append(teller)
    teller.presence.describe(name, Budget(slots, slots * 1024), slots, {"default": slots})
    teller.presence.tell()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", scatter_window=64, scatter_width=32, first_lane=3) as made:
        made.takes = LONG
        there(made)
        yield made


def wide(directory: Path, *names: str, name: str = "wide.cwl") -> Path:
    """Write a workflow with a scatter of each name over ``n``, or over its own input where that is there."""
    names = names or ("each",)
    steps = {one: step(tool("a"), {"a": "n"}, scatter="a") for one in names}
    outputs = {f"{one}_out": output(f"{one}/out") for one in names}
    return write(directory, workflow({"n": "int[]"}, steps, outputs, SCATTER), name)


def under_way(cluster: World, run: str) -> Counter[str]:
    """Count the items of each scatter that have had their turn and have not ended."""
    return Counter(
        path.rpartition("[")[0]
        for path, state in cluster.nodes(run).items()
        if path.endswith("]") and state in ("READY", "QUEUED", "RUNNING")
    )


def watch(cluster: World, look: Callable[[], None], choose: Callable[[], int] = lambda: 0) -> None:
    """Deliver all there is, and look after each message."""
    while cluster.pending:
        cluster.deliver(cluster.take(choose()))
        look()


def first_lane(cluster: World, run: str) -> Counter[str]:
    """Count a run's open attempts in the first lane by queue."""
    return Counter(a.queue for a in cluster.attempts(run) if a.lane == 0 and a.state in ("QUEUED", "RUNNING"))


def chord_sizes(cluster: World) -> list[int]:
    """Return how many items each chord has had."""
    return [sum(map(len, payload["bundles"])) for _, kind, payload in cluster.sent if kind == "chord"]


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes", "window"),
    [(LONG, 2 * SLOTS), (SHORT, SLOTS + 40), (0.01, 64)],
    ids=["long", "short", "shortest"],
)
def test_the_window_is_as_wide_as_the_items_are_short(
    cluster: World, tmp_path: Path, takes: float, window: int
) -> None:
    cluster.takes = takes
    run = cluster.start(wide(tmp_path), {"n": list(range(120))})
    seen: list[int] = []
    watch(cluster, lambda: seen.append(under_way(cluster, run)["each"]))
    assert cluster.run(run).outputs == {"each_out": list(range(120))}
    assert max(seen) == window
    assert max(seen[:3]) == 2 * SLOTS, "careful as long as nobody knows how long an item takes"


def test_a_window_that_was_too_wide_becomes_narrow_again(cluster: World, tmp_path: Path) -> None:
    cluster.takes = SHORT
    run = cluster.start(wide(tmp_path), {"n": list(range(120))})
    while under_way(cluster, run)["each"] < SLOTS + 40:
        cluster.deliver(cluster.take())
    cluster.takes = LONG
    seen: list[int] = []
    watch(cluster, lambda: seen.append(under_way(cluster, run)["each"]))
    assert cluster.run(run).state == "SUCCESS"
    after = next(index for index, number in enumerate(seen) if number <= 2 * SLOTS)
    assert max(seen[after:]) <= 2 * SLOTS


def test_the_window_follows_the_slots_that_there_are(cluster: World, tmp_path: Path) -> None:
    there(cluster, slots=6, name="another")
    run = cluster.start(wide(tmp_path), {"n": list(range(60))})
    seen: list[int] = []
    watch(cluster, lambda: seen.append(under_way(cluster, run)["each"]))
    assert max(seen) == 2 * (SLOTS + 6)


def test_scatters_of_one_run_share_its_window(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(wide(tmp_path, "a", "b"), {"n": list(range(40))})
    seen: list[Counter[str]] = []
    watch(cluster, lambda: seen.append(under_way(cluster, run)))
    assert cluster.run(run).state == "SUCCESS"
    settled = next(i for i, found in enumerate(seen) if found["a"] == found["b"] == SLOTS)
    for found in seen[settled:]:
        assert max(found.values(), default=0) <= 2 * SLOTS
        if len(found) == 2:
            assert found["a"] <= SLOTS and found["b"] <= SLOTS, "half of the window each"


def test_the_last_scatter_of_a_run_has_the_whole_window(cluster: World, tmp_path: Path) -> None:
    steps = {
        "few": step(tool("a"), {"a": "n"}, scatter="a"),
        "many": step(tool("a"), {"a": "m"}, scatter="a"),
    }
    inputs = {"n": "int[]", "m": "int[]"}
    document = write(tmp_path, workflow(inputs, steps, {"o": output("many/out")}, SCATTER))
    run = cluster.start(document, {"n": list(range(12)), "m": list(range(80))})
    seen: list[Counter[str]] = []
    watch(cluster, lambda: seen.append(under_way(cluster, run)))
    alone = [found["many"] for found in seen if not found["few"]]
    assert max(alone) == 2 * SLOTS
    assert cluster.run(run).state == "SUCCESS"


def test_inner_scatters_go_on_however_many_they_are(cluster: World, tmp_path: Path) -> None:
    inner = workflow(
        {"xs": "int[]"}, {"each": step(tool("a"), {"a": "xs"}, scatter="a")}, {"out": output("each/out")}, SCATTER
    )
    steps = {"sub": step(inner, {"xs": "xss"}, scatter="xs")}
    document = write(tmp_path, workflow({"xss": "Any"}, steps, {"o": output("sub/out")}, SCATTER, SUBWORKFLOW))
    rows = [list(range(number)) for number in (9, 0, 5, 12, 1, 30, 2, 2, 2, 2, 7, 0, 11)]
    run = cluster.start(document, {"xss": rows})
    jobs: list[int] = []

    def look() -> None:
        found = under_way(cluster, run)
        jobs.append(sum(number for path, number in found.items() if path != "sub"))

    watch(cluster, look)
    assert cluster.run(run).outputs == {"o": rows}
    assert max(jobs) < sum(map(len, rows)) / 2, "far from all of them at once"


def test_without_others_to_be_fair_to_all_go_first_and_the_slots_are_this_process_s(tmp_path: Path) -> None:
    with world(tmp_path / "home", scatter_window=10, scatter_width=4, fair=False) as cluster:
        cluster.engine.at_once = SLOTS
        cluster.takes = 0.01
        run = cluster.start(wide(tmp_path), {"n": list(range(40))})
        seen: list[int] = []
        watch(cluster, lambda: seen.append(under_way(cluster, run)["each"]))
        assert cluster.run(run).state == "SUCCESS" and max(seen) == 10
        assert {a.lane for a in cluster.attempts(run)} == {0}
        assert set(chord_sizes(cluster)) <= {2, 3, 4}


def test_chords_are_a_quarter_of_the_window(cluster: World, tmp_path: Path) -> None:
    cluster.finished(wide(tmp_path), {"n": list(range(40))})
    assert set(chord_sizes(cluster)) == {2}


# --- nothing is left behind ----------------------------------------------------------------------


@given(data=st.data())
@FEW
def test_every_item_runs_in_any_order_of_messages(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """No message is lost, so no scan is needed: what is ready has always somebody who goes on with it."""
    home = tmp_path_factory.mktemp("home")
    setting = {
        "scatter_window": data.draw(st.integers(1, 20), label="window"),
        "scatter_width": data.draw(st.integers(1, 8), label="width"),
        "first_lane": data.draw(st.integers(1, 5), label="first lane"),
    }
    with world(home, **setting) as cluster:
        slots = data.draw(st.integers(0, 5), label="slots")
        if slots:
            there(cluster, slots)
        inner = workflow(
            {"xs": "int[]"}, {"each": step(tool("a"), {"a": "xs"}, scatter="a")}, {"out": output("each/out")}, SCATTER
        )
        steps = {
            "p": step(tool("a"), {"a": "n"}, scatter="a"),
            "q": step(tool("a", "b"), {"a": "p/out", "b": "n"}, scatter=["a", "b"], scatterMethod="dotproduct"),
            "sub": step(inner, {"xs": "xss"}, scatter="xs"),
        }
        outputs = {"q": output("q/out"), "sub": output("sub/out")}
        document = write(home, workflow({"n": "int[]", "xss": "Any"}, steps, outputs, SCATTER, SUBWORKFLOW))
        numbers = list(range(data.draw(st.integers(0, 14), label="items")))
        rows = [list(range(size)) for size in data.draw(st.lists(st.integers(0, 5), max_size=5), label="rows")]
        runs = [cluster.start(document, {"n": numbers, "xss": rows}) for _ in range(2)]
        order = data.draw(st.randoms(use_true_random=False), label="order")
        while cluster.pending:
            cluster.takes = order.choice([0.01, 1.0, LONG])
            cluster.deliver(cluster.take(order.randrange(len(cluster.pending))), order.choice(cluster.workers))
        for run in runs:
            assert cluster.run(run).outputs == {"q": [2 * n for n in numbers], "sub": rows}, cluster.table(run)
        assert len(cluster.started) == 2 * (2 * len(numbers) + sum(map(len, rows))), "each once"


def test_items_that_are_tried_again_and_items_that_fail_free_their_place(tmp_path: Path) -> None:
    kills = Counter({"3": 2, "11": 3})

    def play(words: Sequence[str]) -> Any:
        if kills[words[0]] > 0:
            kills[words[0]] -= 1
            raise KilledFromOutside("somebody else killed it")
        return add(words)

    with world(tmp_path / "home", play, scatter_window=64, first_lane=3) as cluster:
        there(cluster)
        cluster.takes = LONG
        run = cluster.start(wide(tmp_path), {"n": list(range(30))}, on_error="continue")
        seen: list[int] = []
        watch(cluster, lambda: seen.append(under_way(cluster, run)["each"]))
        assert cluster.run(run).outputs == {"each_out": [None if n == 11 else n for n in range(30)]}
        assert max(seen) == 2 * SLOTS


# --- lanes ---------------------------------------------------------------------------------------


def test_the_first_lane_holds_a_run_s_share_and_is_filled_again(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(wide(tmp_path), {"n": list(range(40))})
    seen: list[int] = []
    watch(cluster, lambda: seen.append(first_lane(cluster, run)["default"]))
    assert max(seen) == 3
    lanes = Counter(a.lane for a in cluster.attempts(run))
    assert lanes[0] > 3 and lanes[1] > 0, lanes
    for _, kind, payload in cluster.sent:
        if kind == "chord":
            names = set(chain.from_iterable(payload["bundles"]))
            assert len({a.lane for a in cluster.attempts(run) if a.id in names}) == 1


def test_the_share_is_of_each_run_and_each_queue(cluster: World, tmp_path: Path) -> None:
    large = {"class": "ResourceRequirement", "coresMin": 2}
    steps = {
        "small": step(tool("a"), {"a": "n"}, scatter="a"),
        "large": step(tool("a", requirements=[large]), {"a": "n"}, scatter="a"),
    }
    outputs = {"o": output("small/out"), "p": output("large/out")}
    document = write(tmp_path, workflow({"n": "int[]"}, steps, outputs, SCATTER))
    runs = [cluster.start(document, {"n": list(range(20))}) for _ in range(2)]
    most: Counter[tuple[str, str]] = Counter()

    def look() -> None:
        for run in runs:
            for queue, number in first_lane(cluster, run).items():
                most[run, queue] = max(most[run, queue], number)

    watch(cluster, look)
    assert most == {(run, queue): 3 for run in runs for queue in ("default", "advanced")}


def test_a_step_that_is_tried_again_counts_as_any_other(tmp_path: Path) -> None:
    kills = Counter(str(number) for number in range(20))

    def play(words: Sequence[str]) -> Any:
        if kills[words[0]] > 0:
            kills[words[0]] -= 1
            raise KilledFromOutside("somebody else killed it")
        return add(words)

    with world(tmp_path / "home", play, first_lane=2) as cluster:
        there(cluster)
        cluster.takes = LONG
        run = cluster.start(wide(tmp_path), {"n": list(range(20))})
        seen: list[int] = []
        watch(cluster, lambda: seen.append(first_lane(cluster, run)["default"]))
        assert max(seen) == 2
        assert {a.lane for a in cluster.attempts(run) if a.number == 2} == {0, 1}


def test_a_message_that_is_sent_again_keeps_its_lane(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(wide(tmp_path), {"n": list(range(8))})
    cluster.deliver(cluster.take())
    del cluster.pending[:]  # the broker is flushed
    cluster.scan()
    lane_of = {a.id: a.lane for a in cluster.attempts(run)}
    again = {message.name: message.lane for message in cluster.pending if message.kind == "execute"}
    assert again == lane_of and set(again.values()) == {0, 1}


# --- a second run --------------------------------------------------------------------------------


def by_lane(cluster: World) -> int:
    """Choose as workers do: scheduling on a channel of its own, then the first lane, then the other, each in order."""

    def rank(message: Message) -> tuple[int, int]:
        return (0, 0) if message.kind != "execute" else (1, message.lane)

    return min(range(len(cluster.pending)), key=lambda index: (rank(cluster.pending[index]), index))


def in_order(cluster: World) -> int:
    """Choose as workers of a broker without priorities do."""
    return next((n for n, message in enumerate(cluster.pending) if message.kind != "execute"), 0)


@pytest.mark.parametrize(
    ("choose", "takes", "most"),
    [(by_lane, LONG, 3 + 3), (in_order, LONG, 2 * SLOTS), (by_lane, SHORT, 3 + 3), (in_order, SHORT, SLOTS + 40)],
    ids=["lanes, long", "no lanes, long", "lanes, short", "no lanes, short"],
)
def test_a_small_run_comes_through_while_a_big_one_has_a_backlog(
    cluster: World, tmp_path: Path, choose: Callable[[World], int], takes: float, most: int
) -> None:
    cluster.takes = takes
    big = cluster.start(wide(tmp_path), {"n": list(range(150))})
    while len(cluster.started) < 60:
        cluster.deliver(cluster.take(choose(cluster)))
    backlog = [a for a in cluster.attempts(big) if a.state == "QUEUED"]
    small = cluster.start(wide(tmp_path, name="small.cwl"), {"n": [1, 2, 3]})
    before = len(cluster.started)
    while not cluster.over(small):
        cluster.deliver(cluster.take(choose(cluster)))
    assert not cluster.over(big)
    assert {a.lane for a in cluster.attempts(small)} == {0}
    assert {a.lane for a in backlog} == {0, 1}, "most of what waits is in the second lane"
    others = len(cluster.started) - before - 3
    assert others <= most, "so many steps of the big run went before the last of the small one"
    cluster.drain()
    assert cluster.run(big).state == "SUCCESS"


# --- who is there --------------------------------------------------------------------------------


def test_slots_are_those_of_the_workers_that_were_seen_lately(cluster: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "KEPT", -1.0)
    engine = cluster.engine
    assert engine.presence.slots() == SLOTS
    there(cluster, 6, "another")
    assert engine.presence.slots() == SLOTS + 6
    cluster.workers[-1].presence.leave()
    assert engine.presence.slots() == SLOTS
    with engine.database.begin() as connection:
        connection.execute(text("UPDATE workers SET seen = seen - :s"), {"s": INTERVAL * 10})
    assert engine.presence.slots() == 0, "not seen for so long that it is taken for gone"
    cluster.workers[1].presence.tell()
    assert engine.presence.slots() == SLOTS, "and there again"


def test_a_worker_that_tells_twice_is_one(cluster: World) -> None:
    there(cluster, 5)
    assert cluster.engine.presence.slots() == 5


def test_an_engine_that_is_no_worker_tells_nothing(tmp_path: Path) -> None:
    with world(tmp_path / "home") as cluster:
        cluster.engine.presence.tell()
        cluster.engine.presence.leave()
        assert cluster.engine.presence.slots() == 0
