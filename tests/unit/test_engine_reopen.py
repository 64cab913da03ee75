"""Opened again, a run does what failed or never ran, and ends as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.engine.cancel import cancel
from celeriac.engine.reopen import reopen
from celeriac.engine.resume import resume
from celeriac.errors import NotFoundError, PlacementError, UsageError
from celeriac.resources import QueueLimits
from tests.unit.engine_documents import EVERYTHING, SCATTER, everything, output, step, tool, workflow, write
from tests.unit.engine_harness import QUEUES, Exit, World, add, world

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
NARROW: dict[str, Any] = {"scatter_window": 4, "scatter_width": 2}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", **NARROW) as made:
        yield made


def go_on(cluster: World, run: str, step: str = "") -> int:
    """Open a run again and bring it to its end; return how many steps stayed as they were."""
    found = reopen(cluster.engine, run, step)
    cluster.engine.send(run, found.messages)
    cluster.repair(run)
    return found.kept


def successes(cluster: World, run: str) -> Counter[str]:
    return Counter(a.path for a in cluster.attempts(run) if a.outcome == "success")


@given(data=st.data(), on_error=st.sampled_from(["stop", "continue"]))
@FEW
def test_after_any_failures_a_retry_ends_as_if_there_were_none(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, on_error: str
) -> None:
    rate = data.draw(st.sampled_from([0.05, 0.3, 0.9]), label="rate")
    chance = Random(data.draw(st.integers(0, 10**6), label="seed"))

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        if chance.random() < rate:
            raise Exit(1)
        return add(words)

    home = tmp_path_factory.mktemp("home")
    with world(home, play, fair=False, **NARROW) as cluster:
        document = write(home, everything())
        run = cluster.start(document, {"n": [1, 2, 3]}, on_error=on_error)
        for _ in range(2):
            cluster.repair(run)
            if cluster.run(run).state == "SUCCESS":
                break
            before = successes(cluster, run)
            go_on(cluster, run)
            assert not before - successes(cluster, run)
        cluster.play = add
        if cluster.run(run).state != "SUCCESS":
            go_on(cluster, run)
        row = cluster.run(run)
        assert (row.state, row.outputs, row.error) == ("SUCCESS", EVERYTHING, None), cluster.table(run)
        assert set(cluster.nodes(run).values()) == {"SUCCESS", "SKIPPED"}
        assert set(successes(cluster, run).values()) == {1}, "what was done is not done again"
        numbers = [(a.path, a.number) for a in cluster.attempts(run)]
        assert len(set(numbers)) == len(numbers), "attempts are counted on"


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    steps = {
        "a": step(tool("a"), {"a": "n"}),
        "b": step(tool("a", "b"), {"a": "a/out", "b": {"default": 1}}),
        "each": step(tool("a", "b"), {"a": "list", "b": "b/out"}, scatter="a"),
        "c": step(tool("a", "b"), {"a": "b/out", "b": {"default": 1}}),
        "other": step(tool("a"), {"a": "n"}),
    }
    outputs = {"c": output("c/out"), "each": output("each/out"), "other": output("other/out")}
    return write(tmp_path, workflow({"n": "int", "list": "int[]"}, steps, outputs, SCATTER))


INPUTS = {"n": 1, "list": [10, 20]}


def test_from_a_step_that_one_and_what_depends_on_it_is_done_again(cluster: World, chain: Path) -> None:
    row = cluster.finished(chain, INPUTS)
    assert go_on(cluster, row.id, "b") == 2
    assert cluster.run(row.id).outputs == row.outputs == {"c": 3, "each": [12, 22], "other": 1}
    twice = {"b", "c", "each[0]", "each[1]"}
    assert successes(cluster, row.id) == {**dict.fromkeys(twice, 2), "a": 1, "other": 1}
    assert cluster.ended == [row.id, row.id]


@pytest.mark.parametrize(("name", "again"), [("each", {"each[0]", "each[1]"}), ("each[1]", {"each[1]"})])
def test_a_scatter_or_one_of_its_items(cluster: World, chain: Path, name: str, again: set[str]) -> None:
    row = cluster.finished(chain, INPUTS)
    cluster.play = lambda words: {"out": 1000 + sum(map(int, words))}
    go_on(cluster, row.id, name)
    assert {path for path, number in successes(cluster, row.id).items() if number == 2} == again
    assert cluster.run(row.id).outputs["each"] == [1012 if "each[0]" in again else 12, 1022]


def test_a_step_within_others(tmp_path: Path, cluster: World) -> None:
    row = cluster.finished(write(tmp_path, everything()), {"n": [1, 2, 3]})
    go_on(cluster, row.id, "triple[1]/double")
    assert {path for path, n in successes(cluster, row.id).items() if n == 2} == {
        "triple[1]/double", "triple[1]/more",
    }  # fmt: skip
    go_on(cluster, row.id, "triple/more")
    assert {path for path, n in successes(cluster, row.id).items() if path.endswith("/more") and n >= 2} == {
        "triple[0]/more", "triple[1]/more", "triple[2]/more",
    }  # fmt: skip
    assert cluster.run(row.id).outputs == EVERYTHING


def test_values_that_change_reach_what_follows(cluster: World, chain: Path) -> None:
    row = cluster.finished(chain, INPUTS)
    cluster.play = lambda words: {"out": 100} if list(words) == ["1", "1"] else add(words)
    go_on(cluster, row.id, "b")
    assert cluster.run(row.id).outputs == {"c": 101, "each": [110, 120], "other": 1}


def test_a_cancelled_run_goes_on(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, INPUTS)
    for _ in range(6):
        cluster.deliver(cluster.take())
    cancel(cluster.engine, run)
    cluster.drain()
    assert cluster.run(run).state == "CANCELED"
    before = successes(cluster, run)
    go_on(cluster, run)
    assert cluster.run(run).outputs == {"c": 3, "each": [12, 22], "other": 1}
    assert before and set(successes(cluster, run).values()) == {1}


def test_one_cancelled_before_its_first_turn(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, INPUTS)
    cancel(cluster.engine, run)
    go_on(cluster, run)
    assert cluster.run(run).state == "SUCCESS"


def test_it_is_told_what_can_not_be_tried_again(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, INPUTS)
    with pytest.raises(UsageError, match=f"run {run} is PENDING: only a run that has ended"):
        reopen(cluster.engine, run)
    cluster.drain()
    with pytest.raises(UsageError, match="there is nothing to do again"):
        reopen(cluster.engine, run)
    with pytest.raises(NotFoundError, match="has no step 'bb'"):
        reopen(cluster.engine, run, "bb")
    with pytest.raises(NotFoundError, match="there is no run nobody"):
        reopen(cluster.engine, "nobody")
    assert cluster.run(run).state == "SUCCESS"


def test_the_queues_are_those_of_now(tmp_path: Path, chain: Path) -> None:
    queues = list(QUEUES)
    with world(tmp_path / "home", lambda words: (_ for _ in ()).throw(Exit(1)), queues=lambda: queues) as cluster:
        row = cluster.finished(chain, INPUTS)
        queues[:] = [QueueLimits("tiny", cpus=1, ram=10)]
        with pytest.raises(PlacementError):
            reopen(cluster.engine, row.id)
        assert cluster.run(row.id).state == "FAILED", "nothing was changed"
        queues[:] = [QueueLimits("new", cpus=4, ram=4000)]
        cluster.play = add
        go_on(cluster, row.id)
        assert {a.queue for a in cluster.attempts(row.id) if a.number > 1} == {"new"}
        assert cluster.run(row.id).state == "SUCCESS"


def test_a_step_whose_output_file_is_gone_runs_again(cluster: World, tmp_path: Path) -> None:
    made = {**tool("a"), "stdout": "o.txt", "outputs": {"out": "stdout"}}
    steps = {"f": step(made, {"a": "n"}), "bad": step(tool("a"), {"a": "n"})}
    document = write(tmp_path, workflow({"n": "int"}, steps, {"f": output("f/out", "File?"), "b": output("bad/out")}))

    def play(words: Sequence[str]) -> Any:
        if cluster.commands[-1].stdout.name == "o.txt":
            return "text"
        raise Exit(1)

    cluster.play = play
    run = cluster.start(document, {"n": 1}, on_error="continue")
    cluster.drain()
    assert cluster.run(run).state == "FAILED"
    location = next(a.outputs for a in cluster.attempts(run, "f"))["out"]["location"]
    Path(location.removeprefix("file://")).unlink()
    cluster.play = lambda words: "text" if cluster.commands[-1].stdout.name == "o.txt" else add(words)
    assert go_on(cluster, run) == 0
    assert cluster.run(run).state == "SUCCESS"
    assert successes(cluster, run) == {"f": 2, "bad": 1}


# --- resume ------------------------------------------------------------------------------------------


def test_resume_sends_all_again_and_runs_nothing_twice(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, INPUTS)
    for _ in range(4):
        cluster.deliver(cluster.take())
    before = successes(cluster, run)
    del cluster.pending[:]  # the broker is gone
    assert resume(cluster.engine, run) == "RUNNING"
    assert resume(cluster.workers[0], run) == "RUNNING"
    cluster.drain()
    assert cluster.run(run).outputs == {"c": 3, "each": [12, 22], "other": 1}
    assert before and set(successes(cluster, run).values()) == {1}
    assert resume(cluster.engine, run) == "SUCCESS"
    with pytest.raises(NotFoundError):
        resume(cluster.engine, "nobody")
