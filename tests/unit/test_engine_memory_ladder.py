"""The memory ladder: a step that ran out of memory is tried again with more, up to the top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.errors import KilledFromOutside, OutOfMemory
from celeriac.journal import attempts as tries
from celeriac.resources import QueueLimits
from celeriac.states import Outcome
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import QUEUES, Exit, World, world

FEW = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
MIB = 2**20


class Hungry:
    """Plays tools that are told what memory they have, and end for want of it where it is less than they need."""

    def __init__(self, need: int) -> None:
        self.need = need  # MiB; 0: the tool needs ten times its number
        self.kills = 0  # so often somebody else kills it
        self.speaks = False  # it ends by itself and says so
        self.had: list[int] = []  # MiB, at each start

    def __call__(self, words: Sequence[str]) -> Mapping[str, Any]:
        ram, number = int(words[0]), int(words[1])
        self.had.append(ram)
        if self.kills > 0:
            self.kills -= 1
            raise KilledFromOutside("the container was killed by somebody else")
        if ram >= (self.need or number * 10):
            return {"out": number}
        if self.speaks:
            raise Exit(1, "Traceback ...\nMemoryError\n")
        raise OutOfMemory(
            f"it used more memory than {ram} MiB and was ended", peak_memory=ram * MIB, cpu_seconds=2.5, exit_code=137
        )


@pytest.fixture
def tools() -> Hungry:
    return Hungry(1500)


@pytest.fixture
def cluster(tmp_path: Path, tools: Hungry) -> Iterator[World]:
    with world(tmp_path / "home", tools, scatter_window=4, scatter_width=2) as made:
        yield made


def one(directory: Path, *requirements: dict[str, Any], hints: Sequence[dict[str, Any]] = ()) -> Path:
    """Write a workflow of one step, whose tool is told the memory that it has."""
    run = tool("a", arguments=["$(runtime.ram)"], requirements=list(requirements), hints=list(hints))
    return write(directory, workflow({"x": "int"}, {"s": step(run, {"a": "x"})}, {"o": output("s/out")}))


def ram(**fields: int) -> dict[str, Any]:
    """Return a ResourceRequirement."""
    return {"class": "ResourceRequirement", **fields}


def made(cluster: World, run: str, path: str = "s") -> list[tuple[int, str, int, str]]:
    """Return a step's attempts: number, queue, MiB, outcome."""
    return [(a.number, a.queue, a.granted["ram"], a.outcome) for a in cluster.attempts(run, path)]


def test_the_next_queue_is_tried_with_all_its_memory(cluster: World, tmp_path: Path, tools: Hungry) -> None:
    row = cluster.finished(one(tmp_path), {"x": 7})
    assert (row.state, row.outputs) == ("SUCCESS", {"o": 7})
    assert made(cluster, row.id) == [(1, "default", 1024, "outOfMemory"), (2, "advanced", 2048, "success")]
    assert tools.had == [1024, 2048], "the tool is told what it has"
    first, second = cluster.attempts(row.id, "s")
    assert first.asked == second.asked, "the ask stays that of the first"
    assert (first.granted["cpus"], second.granted["cpus"]) == (1, 2)
    assert {a.state for a in (first, second)} == {"SETTLED"}


def test_what_each_attempt_used_is_kept(cluster: World, tmp_path: Path) -> None:
    row = cluster.finished(one(tmp_path), {"x": 7})
    first, _ = cluster.attempts(row.id, "s")
    assert (first.peak_memory, first.cpu_seconds, first.exit_code) == (1024, 2.5, 137)
    assert "more memory than 1024 MiB" in first.error["message"]


def test_a_step_that_asked_for_less_than_its_queue_has_takes_the_next_one(cluster: World, tmp_path: Path) -> None:
    row = cluster.finished(one(tmp_path, ram(ramMin=512)), {"x": 7})
    assert made(cluster, row.id) == [(1, "default", 512, "outOfMemory"), (2, "advanced", 2048, "success")]


def test_on_the_largest_queue_it_takes_what_is_left_of_it(cluster: World, tmp_path: Path) -> None:
    row = cluster.finished(one(tmp_path, ram(coresMin=2, ramMin=512)), {"x": 7})
    assert made(cluster, row.id) == [(1, "advanced", 512, "outOfMemory"), (2, "advanced", 2048, "success")]


def test_at_the_top_the_run_fails_with_what_it_used_and_had(cluster: World, tmp_path: Path, tools: Hungry) -> None:
    tools.need = 3000
    row = cluster.finished(one(tmp_path), {"x": 7})
    assert row.state == "FAILED"
    assert row.error["type"] == "OutOfMemory"
    assert "more memory than 2048 MiB" in row.error["message"]
    assert row.error["fields"]["peak_memory"] == 2048 * MIB
    assert made(cluster, row.id) == [(1, "default", 1024, "outOfMemory"), (2, "advanced", 2048, "outOfMemory")]
    assert cluster.nodes(row.id)["s"] == "FAILED"


def test_a_tool_that_ends_by_itself_for_want_of_memory_climbs_too(
    cluster: World, tmp_path: Path, tools: Hungry
) -> None:
    tools.speaks = True
    row = cluster.finished(one(tmp_path), {"x": 7})
    assert made(cluster, row.id) == [(1, "default", 1024, "outOfMemory"), (2, "advanced", 2048, "success")]
    tools.need = 3000
    row = cluster.finished(one(tmp_path), {"x": 7})
    assert row.state == "FAILED"
    assert row.error["message"].startswith("'s' ran out of memory: it had 2048 MiB")
    assert "MemoryError" in row.error["hint"]


@pytest.mark.parametrize("speaks", [True, False])
def test_the_ladder_can_be_turned_off(tmp_path: Path, tools: Hungry, speaks: bool) -> None:
    tools.speaks = speaks
    with world(tmp_path / "home", tools, memory_ladder=False) as cluster:
        row = cluster.finished(one(tmp_path), {"x": 7})
        assert (row.state, row.error["type"]) == ("FAILED", "OutOfMemory")
        assert made(cluster, row.id) == [(1, "default", 1024, "outOfMemory")]


def test_where_the_queue_is_the_host_there_is_no_ladder(tmp_path: Path, tools: Hungry) -> None:
    with world(tmp_path / "home", tools, limited=False) as cluster:
        row = cluster.finished(one(tmp_path), {"x": 7})
        assert (row.state, row.error["type"]) == ("FAILED", "OutOfMemory")
        assert made(cluster, row.id) == [(1, "default", 256, "outOfMemory")], "granted is the least that it asked for"


def test_a_step_that_named_its_queue_climbs_too(cluster: World, tmp_path: Path) -> None:
    hint = {"class": "celeriac:queue", "queue": "default"}
    row = cluster.finished(one(tmp_path, hints=[hint]), {"x": 7})
    assert made(cluster, row.id) == [(1, "default", 1024, "outOfMemory"), (2, "advanced", 2048, "success")]


def test_a_run_climbs_among_the_queues_that_it_was_submitted_with(cluster: World, tmp_path: Path) -> None:
    cluster.queues = QUEUES[:1]
    run = cluster.start(one(tmp_path), {"x": 7})
    cluster.queues = QUEUES
    cluster.drain()
    assert cluster.run(run).state == "FAILED"
    assert made(cluster, run) == [(1, "default", 1024, "outOfMemory")]


def test_each_cause_is_counted_for_itself(tmp_path: Path, tools: Hungry) -> None:
    """Three rungs and two kills are five attempts, but no cause came three times."""
    queues = [QueueLimits("a", 1, 500), QueueLimits("b", 1, 1000), QueueLimits("c", 1, 2000)]
    with world(tmp_path / "home", tools, queues=queues) as cluster:
        run = cluster.start(one(tmp_path), {"x": 7})
        cluster.deliver(cluster.take())
        for kills in (0, 1, 0, 1, 0):  # on the first rung none, on the second and the third one
            tools.kills = kills
            cluster.deliver(cluster.take())  # execute
            cluster.deliver(cluster.take())  # settle
        assert cluster.run(run).state == "SUCCESS", cluster.table(run)
        assert made(cluster, run) == [
            (1, "a", 500, "outOfMemory"), (2, "b", 1000, "infrastructure"), (3, "b", 1000, "outOfMemory"),
            (4, "c", 2000, "infrastructure"), (5, "c", 2000, "success"),
        ]  # fmt: skip


def test_the_third_failure_of_one_cause_is_the_last_whatever_was_between(tmp_path: Path, tools: Hungry) -> None:
    queues = [QueueLimits("a", 1, 500), QueueLimits("b", 1, 1000), QueueLimits("c", 1, 2000)]
    with world(tmp_path / "home", tools, queues=queues) as cluster:
        run = cluster.start(one(tmp_path), {"x": 7})
        cluster.deliver(cluster.take())
        for kills in (1, 0, 1, 0, 1):
            tools.kills = kills
            cluster.deliver(cluster.take())
            cluster.deliver(cluster.take())
        assert cluster.run(run).error["type"] == "KilledFromOutside"
        assert [outcome for *_, outcome in made(cluster, run)].count("infrastructure") == 3
        assert len(cluster.attempts(run)) == 5


def test_a_lost_worker_between_two_rungs_is_counted_for_itself(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(one(tmp_path), {"x": 7})
    cluster.deliver(cluster.take())
    cluster.deliver(cluster.take())
    cluster.deliver(cluster.take())  # the first attempt has run out of memory, the second is queued
    for _ in range(2):
        lost = cluster.attempts(run, "s")[-1]
        del cluster.pending[:]
        with cluster.engine.database.begin() as connection:
            tries.claim(connection, [lost.id], "a worker that dies", "host", 1.0)
        cluster.scan()
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 7}, cluster.table(run)
    assert [(a.queue, a.granted["ram"], a.state) for a in cluster.attempts(run, "s")] == [
        ("default", 1024, "SETTLED"), ("advanced", 2048, "LOST"), ("advanced", 2048, "LOST"),
        ("advanced", 2048, "SETTLED"),
    ]  # fmt: skip


def test_the_loss_that_ends_a_run_says_how_often_it_was_lost(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(one(tmp_path), {"x": 7})
    cluster.deliver(cluster.take())
    cluster.deliver(cluster.take())
    cluster.deliver(cluster.take())
    for _ in range(3):
        lost = cluster.attempts(run, "s")[-1]
        del cluster.pending[:]
        with cluster.engine.database.begin() as connection:
            tries.claim(connection, [lost.id], "a worker that dies", "host", 1.0)
        cluster.scan()
    assert cluster.run(run).state == "FAILED"
    assert "'s' was lost 3 times" in cluster.run(run).error["message"], "of its four attempts"


def test_items_of_a_scatter_climb_one_by_one(cluster: World, tmp_path: Path, tools: Hungry) -> None:
    tools.need = 0
    run = tool("a", arguments=["$(runtime.ram)"])
    each = step(run, {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"each": each}, {"o": output("each/out")}, SCATTER))
    numbers = [1, 150, 2, 102, 103, 200, 3, 4, 110]
    row = cluster.finished(document, {"n": numbers})
    assert (row.state, row.outputs) == ("SUCCESS", {"o": numbers})
    for index, number in enumerate(numbers):
        rungs = [(1, "default", 1024, "success")]
        if number * 10 > 1024:
            rungs = [(1, "default", 1024, "outOfMemory"), (2, "advanced", 2048, "success")]
        assert made(cluster, row.id, f"each[{index}]") == rungs


def test_nothing_climbs_in_a_run_that_is_being_stopped(cluster: World, tmp_path: Path, tools: Hungry) -> None:
    run = cluster.start(one(tmp_path), {"x": 7})
    cluster.deliver(cluster.take())
    cluster.deliver(cluster.take())
    with cluster.engine.database.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET stopping = 1")
    cluster.drain()
    assert cluster.run(run).state == "FAILED"
    assert made(cluster, run) == [(1, "default", 1024, "outOfMemory")]


TABLES = st.lists(
    st.builds(
        QueueLimits,
        name=st.text("abcdef", min_size=1, max_size=3),
        cpus=st.integers(1, 4).map(float),
        ram=st.integers(256, 4000),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda queue: queue.name,
)


@given(queues=TABLES, need=st.integers(1, 5000))
@FEW
def test_a_step_ends_well_exactly_where_some_queue_has_the_memory(
    tmp_path_factory: pytest.TempPathFactory, queues: list[QueueLimits], need: int
) -> None:
    home = tmp_path_factory.mktemp("home")
    with world(home, Hungry(need), queues=queues) as cluster:
        row = cluster.finished(one(home), {"x": 7})
        had = [memory for _, _, memory, _ in made(cluster, row.id)]
        assert (row.state == "SUCCESS") is any(queue.ram >= need for queue in queues)
        assert had == sorted(set(had)), "more each time"
        outcomes = [outcome for *_, outcome in made(cluster, row.id)]
        assert set(outcomes[:-1]) <= {Outcome.OUT_OF_MEMORY}
        if row.state == "FAILED":
            assert had[-1] == max(queue.ram for queue in queues)
