"""Failures: what stops, what goes on, what is tried again, and that every run names its cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from celeriac.engine.outcome import outcome
from celeriac.errors import EngineUnreachable, KilledFromOutside, RunFailed
from tests.unit.engine_documents import MULTIPLE, SCATTER, SUBWORKFLOW, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, world


class Tools:
    """Adds numbers, unless one of them is to fail: 13 exits with 1, 66 is killed ``kills`` times."""

    def __init__(self) -> None:
        self.kills = 0
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, words: Sequence[str]) -> Mapping[str, Any]:
        self.calls.append(tuple(words))
        if "13" in words:
            raise Exit(1)
        if "66" in words and self.kills > 0:
            self.kills -= 1
            raise KilledFromOutside("the container was killed by somebody else")
        if "99" in words:
            raise EngineUnreachable("the engine does not answer")
        return {"out": sum(map(int, words))}


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def cluster(tmp_path: Path, tools: Tools) -> Iterator[World]:
    with world(tmp_path / "home", tools, scatter_window=4, scatter_width=2) as made:
        yield made


@pytest.fixture
def branches(tmp_path: Path) -> Path:
    """Two branches of three steps each, joined by nothing; ``bad`` begins the first, ``good`` the second."""
    one = tool("a", "b")
    steps = {}
    for name, source in (("l", "bad"), ("r", "good")):
        steps[f"{name}1"] = step(one, {"a": source, "b": {"default": 0}})
        steps[f"{name}2"] = step(one, {"a": f"{name}1/out", "b": {"default": 1}})
        steps[f"{name}3"] = step(one, {"a": f"{name}2/out", "b": {"default": 1}})
    outputs = {"left": output("l3/out"), "right": output("r3/out"), "both": output(["l3/out", "r3/out"])}
    return write(
        tmp_path,
        workflow({"bad": "int", "good": "int"}, steps, outputs, MULTIPLE),
    )


def test_stop_starts_nothing_after_a_failure(cluster: World, branches: Path, tools: Tools) -> None:
    run = cluster.start(branches, {"bad": 13, "good": 1})
    cluster.deliver(cluster.take())  # both first steps are queued now
    failing = next(a.id for a in cluster.attempts(run, "l1"))
    index = next(n for n, message in enumerate(cluster.pending) if message.name == failing)
    waiting = [message for message in cluster.pending if message.name != failing]
    cluster.deliver(cluster.take(index))
    cluster.deliver(cluster.take(-1))  # its settle
    assert cluster.run(run).state == "FAILED"
    for message in waiting:
        cluster.deliver(message)
    cluster.drain()
    assert tools.calls == [("13", "0")]
    assert cluster.nodes(run) == {"": "CANCELED", "l1": "FAILED", "r1": "CANCELED"}
    assert [a.state for a in cluster.attempts(run, "r1")] == ["CANCELED"]
    assert cluster.run(run).outputs is None
    assert cluster.ended == [run]


def test_stop_lets_what_runs_end_but_nothing_follow_it(cluster: World, branches: Path, tools: Tools) -> None:
    run = cluster.start(branches, {"bad": 13, "good": 1})
    cluster.deliver(cluster.take())
    good = next(a for a in cluster.attempts(run, "r1"))
    held = cluster.take(next(n for n, m in enumerate(cluster.pending) if m.name == good.id))

    def meanwhile(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = tools
        cluster.drain()  # the other branch fails while this tool runs
        assert cluster.run(run).state == "RUNNING", "a tool is still running"
        return tools(words)

    cluster.play = meanwhile
    cluster.deliver(held)
    cluster.drain()
    assert cluster.run(run).state == "FAILED"
    assert cluster.nodes(run)["r1"] == "SUCCESS"
    assert "r2" not in cluster.nodes(run)
    assert cluster.ended == [run]


def test_the_cause_names_step_exit_code_and_standard_error(cluster: World, branches: Path) -> None:
    row = cluster.finished(branches, {"bad": 13, "good": 1})
    assert row.error["type"] == "StepFailed"
    assert row.error["message"] == "'l1' ended with exit code 1"
    assert row.error["fields"]["exit_code"] == 1
    assert "standard error" in row.error["hint"]
    with pytest.raises(RunFailed, match="'l1' ended with exit code 1"):
        outcome(cluster.engine, row.id)


def test_continue_finishes_what_does_not_need_the_failed_step(cluster: World, branches: Path) -> None:
    row = cluster.finished(branches, {"bad": 13, "good": 1}, on_error="continue")
    assert row.state == "FAILED"
    assert row.error["message"] == "'l1' ended with exit code 1"
    assert row.outputs == {"left": None, "right": 3, "both": [3]}  # as cwltool does
    assert cluster.nodes(row.id) == {
        "": "FAILED", "l1": "FAILED", "l2": "UPSTREAM_FAILED", "l3": "UPSTREAM_FAILED",
        "r1": "SUCCESS", "r2": "SUCCESS", "r3": "SUCCESS",
    }  # fmt: skip
    assert cluster.ended == [row.id]


def test_continue_keeps_other_outputs_when_one_can_not_be_picked(cluster: World, tmp_path: Path) -> None:
    steps = {"bad": step(tool("a"), {"a": "x"}), "good": step(tool("a"), {"a": "y"})}
    outputs = {
        "picked": output(["bad/out", "bad/out"], pickValue="first_non_null"),
        "other": output("good/out"),
    }
    document = write(tmp_path, workflow({"x": "int", "y": "int"}, steps, outputs, MULTIPLE))
    row = cluster.finished(document, {"x": 13, "y": 7}, on_error="continue")
    assert row.state == "FAILED"
    assert row.error["message"] == "'bad' ended with exit code 1", "the first cause, not what follows from it"
    assert row.outputs == {"picked": None, "other": 7}


def test_continue_goes_through_failing_items_of_a_scatter(cluster: World, tmp_path: Path, tools: Tools) -> None:
    each = step(tool("a"), {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"each": each}, {"all": output("each/out")}, SCATTER))
    numbers = [1, 13, 2, 13, 13, 13, 3, 4, 5, 13, 6]
    row = cluster.finished(document, {"n": numbers}, on_error="continue")
    assert row.state == "FAILED"
    assert row.outputs == {"all": [None if n == 13 else n for n in numbers]}
    assert len(tools.calls) == len(numbers)


def test_stop_starts_no_more_items_of_a_scatter(cluster: World, tmp_path: Path, tools: Tools) -> None:
    each = step(tool("a"), {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"each": each}, {"all": output("each/out")}, SCATTER))
    row = cluster.finished(document, {"n": [1, 13, *range(20, 40)]})
    assert row.state == "FAILED"
    assert row.error["message"] == "'each[1]' ended with exit code 1"
    assert len(tools.calls) <= 4, "of the window, and none of those that waited"
    assert set(cluster.nodes(row.id).values()) <= {"SUCCESS", "FAILED", "CANCELED"}
    assert cluster.ended == [row.id]


def test_continue_blocks_what_needs_a_failed_subworkflow(cluster: World, tmp_path: Path) -> None:
    inner = workflow(
        {"x": "int"},
        {"one": step(tool("a"), {"a": "x"}), "two": step(tool("a"), {"a": "one/out"})},
        {"out": output("two/out", "int")},
    )
    steps = {
        "sub": step(inner, {"x": "n"}, scatter="x"),
        "after": step(tool("a", kind="int[]"), {"a": "sub/out"}),
        "later": step(tool("a"), {"a": "after/out"}),
    }
    document = write(tmp_path, workflow({"n": "int[]"}, steps, {"all": output("sub/out")}, SCATTER, SUBWORKFLOW))
    row = cluster.finished(document, {"n": [1, 13, 2]}, on_error="continue")
    states = cluster.nodes(row.id)
    assert row.outputs == {"all": [1, None, 2]}
    assert (states["sub[1]/one"], states["sub[1]/two"], states["sub[1]"]) == ("FAILED", "UPSTREAM_FAILED", "FAILED")
    assert (states["sub"], states["after"], states["later"]) == ("FAILED", "UPSTREAM_FAILED", "UPSTREAM_FAILED")
    assert states["sub[0]"] == states["sub[2]/two"] == "SUCCESS"


def _one(tmp_path: Path) -> Path:
    return write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))


def test_infrastructure_is_tried_again_without_the_tool_being_blamed(
    cluster: World, tmp_path: Path, tools: Tools
) -> None:
    tools.kills = 2
    row = cluster.finished(_one(tmp_path), {"x": 66})
    assert row.outputs == {"o": 66}
    made = cluster.attempts(row.id, "s")
    assert [(a.number, a.state, a.outcome) for a in made] == [
        (1, "SETTLED", "infrastructure"), (2, "SETTLED", "infrastructure"), (3, "SETTLED", "success"),
    ]  # fmt: skip


def test_infrastructure_is_given_up_at_the_cap_with_its_cause(cluster: World, tmp_path: Path, tools: Tools) -> None:
    row = cluster.finished(_one(tmp_path), {"x": 99})
    assert row.state == "FAILED"
    assert row.error["type"] == "EngineUnreachable"
    assert "the engine does not answer" in row.error["message"]
    assert [a.number for a in cluster.attempts(row.id)] == [1, 2, 3]
    assert len(tools.calls) == 3


def test_the_cap_is_a_setting(tmp_path: Path, tools: Tools) -> None:
    with world(tmp_path / "home", tools, infrastructure_attempts=1) as cluster:
        row = cluster.finished(_one(tmp_path), {"x": 99})
    assert row.state == "FAILED" and len(tools.calls) == 1


def test_an_infrastructure_failure_after_a_stop_is_not_tried_again(
    cluster: World, branches: Path, tools: Tools
) -> None:
    run = cluster.start(branches, {"bad": 13, "good": 99})
    cluster.deliver(cluster.take())
    good = next(a for a in cluster.attempts(run, "r1"))
    held = cluster.take(next(n for n, m in enumerate(cluster.pending) if m.name == good.id))

    def meanwhile(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = tools
        cluster.drain()
        return tools(words)

    cluster.play = meanwhile
    cluster.deliver(held)
    cluster.drain()
    assert cluster.run(run).state == "FAILED"
    assert cluster.run(run).error["message"] == "'l1' ended with exit code 1"
    assert [a.number for a in cluster.attempts(run, "r1")] == [1]


def test_a_fault_of_our_own_is_tried_again_and_named(cluster: World, tmp_path: Path) -> None:
    def broken(words: Sequence[str]) -> Mapping[str, Any]:
        raise ZeroDivisionError("a bug")

    cluster.play = broken
    row = cluster.finished(_one(tmp_path), {"x": 1})
    assert row.state == "FAILED"
    assert "ZeroDivisionError: a bug" in row.error["message"]
    assert len(cluster.attempts(row.id)) == 3
