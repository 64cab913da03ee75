"""The forms of a workflow at their limits: no items, no steps, nothing to pick, no queue that fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celeriac.errors import PlacementError, UnsupportedError
from tests.unit.engine_documents import (
    EXPRESSION,
    JAVASCRIPT,
    MULTIPLE,
    SCATTER,
    SUBWORKFLOW,
    output,
    step,
    tool,
    workflow,
    write,
)
from tests.unit.engine_harness import World, world

NEVER = {"when": "$(false)"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", scatter_window=4, scatter_width=2) as made:
        yield made


def _run(cluster: World, directory: Path, document: dict[str, Any], inputs: Any = None, **options: Any) -> Any:
    return cluster.finished(write(directory, document), inputs or {}, **options)


@pytest.mark.parametrize(
    ("method", "a", "b", "expected"),
    [
        ("dotproduct", [], [], []),
        ("flat_crossproduct", [], [1, 2], []),
        ("flat_crossproduct", [1, 2], [], []),
        ("nested_crossproduct", [], [1, 2], []),
        ("nested_crossproduct", [1, 2], [], [[], []]),
        ("nested_crossproduct", [1, 2], [10, 20], [[11, 21], [12, 22]]),
        ("flat_crossproduct", [1, 2], [10, 20], [11, 21, 12, 22]),
        ("dotproduct", [1, 2], [10, 20], [11, 22]),
    ],
)
def test_scatter_methods_with_items_and_without(
    cluster: World, tmp_path: Path, method: str, a: list[int], b: list[int], expected: list[Any]
) -> None:
    each = step(tool("a", "b"), {"a": "a", "b": "b"}, scatter=["a", "b"], scatterMethod=method)
    wide = workflow({"a": "int[]", "b": "int[]"}, {"each": each}, {"o": output("each/out")}, SCATTER)
    row = _run(cluster, tmp_path, wide, {"a": a, "b": b})
    assert (row.state, row.outputs) == ("SUCCESS", {"o": expected})


def test_one_empty_scatter_starts_what_follows(cluster: World, tmp_path: Path) -> None:
    steps = {
        "each": step(tool("a"), {"a": "n"}, scatter="a"),
        "sum": step(tool("a", kind="int[]"), {"a": "each/out"}),
    }
    row = _run(cluster, tmp_path, workflow({"n": "int[]"}, steps, {"o": output("sum/out")}, SCATTER), {"n": []})
    assert row.outputs == {"o": 0}


def test_dotproduct_over_different_lengths_fails_with_the_lengths(cluster: World, tmp_path: Path) -> None:
    each = step(tool("a", "b"), {"a": "a", "b": "b"}, scatter=["a", "b"], scatterMethod="dotproduct")
    wide = workflow({"a": "int[]", "b": "int[]"}, {"each": each}, {"o": output("each/out")}, SCATTER)
    row = _run(cluster, tmp_path, wide, {"a": [1], "b": [1, 2]})
    assert row.state == "FAILED"
    assert row.error["type"] == "InputError" and "a has 1, b has 2" in row.error["message"]


def _sub(steps: dict[str, Any], source: str) -> dict[str, Any]:
    return workflow({"x": "int"}, steps, {"out": output(source, "int?")}, SUBWORKFLOW)


def test_nested_scatter_over_subworkflows(cluster: World, tmp_path: Path) -> None:
    inner = workflow(
        {"xs": "int[]"}, {"each": step(tool("a"), {"a": "xs"}, scatter="a")}, {"out": output("each/out")}, SCATTER
    )
    middle = workflow(
        {"xss": "Any"}, {"sub": step(inner, {"xs": "xss"}, scatter="xs")}, {"out": output("sub/out")},
        SCATTER, SUBWORKFLOW,
    )  # fmt: skip
    outer = workflow(
        {"xsss": "Any"}, {"sub": step(middle, {"xss": "xsss"}, scatter="xss")}, {"o": output("sub/out")},
        SCATTER, SUBWORKFLOW,
    )  # fmt: skip
    cube = [[[1, 2], []], [], [[3], [4, 5, 6], [7], [8], [9], [10]], [[11]], [[12]], [[13]]]
    row = _run(cluster, tmp_path, outer, {"xsss": cube})
    assert (row.state, row.outputs) == ("SUCCESS", {"o": cube})
    assert cluster.nodes(row.id)["sub[2]/sub[1]/each[2]"] == "SUCCESS"


def test_a_subworkflow_without_steps(cluster: World, tmp_path: Path) -> None:
    steps = {"sub": step(_sub({}, "x"), {"x": "n"}), "after": step(tool("a"), {"a": "sub/out"})}
    outer = workflow({"n": "int"}, steps, {"o": output("after/out")}, SUBWORKFLOW)
    assert _run(cluster, tmp_path, outer, {"n": 4}).outputs == {"o": 4}


def test_a_workflow_without_steps(cluster: World, tmp_path: Path) -> None:
    row = _run(cluster, tmp_path, _sub({}, "x"), {"x": 4})
    assert (row.state, row.outputs, cluster.nodes(row.id)) == ("SUCCESS", {"out": 4}, {"": "SUCCESS"})


def test_scattered_subworkflows_without_steps(cluster: World, tmp_path: Path) -> None:
    steps = {"sub": step(_sub({}, "x"), {"x": "n"}, scatter="x")}
    outer = workflow({"n": "int[]"}, steps, {"o": output("sub/out")}, SUBWORKFLOW, SCATTER)
    assert _run(cluster, tmp_path, outer, {"n": list(range(9))}).outputs == {"o": list(range(9))}


def test_a_tool_alone(cluster: World, tmp_path: Path) -> None:
    row = _run(cluster, tmp_path, tool("a", "b"), {"a": 1, "b": 2})
    assert (row.state, row.outputs) == ("SUCCESS", {"out": 3})


def test_when_is_false_everywhere(cluster: World, tmp_path: Path) -> None:
    steps = {
        "plain": step(tool("a"), {"a": "x"}, **NEVER),
        "items": step(tool("a"), {"a": "n"}, scatter="a", **NEVER),
        "sub": step(_sub({}, "x"), {"x": "x"}, **NEVER),
        "subs": step(_sub({}, "x"), {"x": "n"}, scatter="x", **NEVER),
    }
    outputs = {name + "_out": output(f"{name}/out") for name in steps}
    outer = workflow({"x": "int", "n": "int[]"}, steps, outputs, SCATTER, SUBWORKFLOW, JAVASCRIPT, EXPRESSION)
    row = _run(cluster, tmp_path, outer, {"x": 1, "n": [1, 2]})
    nothing = {"plain_out": None, "items_out": [None, None], "sub_out": None, "subs_out": [None, None]}
    assert (row.state, row.outputs) == ("SUCCESS", nothing)
    assert cluster.started == []
    states = cluster.nodes(row.id)
    assert (states["plain"], states["items[1]"], states["items"]) == ("SKIPPED", "SKIPPED", "SUCCESS")


@pytest.mark.parametrize(
    ("how", "expected"),
    [("first_non_null", "all sources"), ("the_only_non_null", "all sources"), ("all_non_null", None)],
)
def test_pick_value_at_run_time(cluster: World, tmp_path: Path, how: str, expected: str | None) -> None:
    steps = {name: step(tool("a"), {"a": "x"}, **NEVER) for name in ("s", "t")}
    picked = output(["s/out", "t/out"], pickValue=how)
    row = _run(cluster, tmp_path, workflow({"x": "int"}, steps, {"o": picked}, MULTIPLE, JAVASCRIPT), {"x": 1})
    if expected is None:
        assert row.outputs == {"o": []}
        return
    assert row.state == "FAILED"
    assert row.error["type"] == "DocumentError"
    assert expected in row.error["message"] and "'o'" in row.error["message"]


def test_pick_value_failing_at_a_step_names_it(cluster: World, tmp_path: Path) -> None:
    steps = {
        "s": step(tool("a"), {"a": "x"}),
        "t": step(tool("a"), {"a": "x"}),
        "pick": step(tool("a"), {"a": {"source": ["s/out", "t/out"], "pickValue": "the_only_non_null"}}),
        "after": step(tool("a"), {"a": "pick/out"}),
    }
    document = workflow({"x": "int"}, steps, {"o": output("after/out")}, MULTIPLE)
    row = _run(cluster, tmp_path, document, {"x": 1})
    assert (row.state, row.error["where"]) == ("FAILED", "step 'pick'")
    assert "2 sources of 'a' are not null" in row.error["message"]
    again = _run(cluster, tmp_path, document, {"x": 1}, on_error="continue")
    assert again.state == "FAILED"
    assert cluster.nodes(again.id)["after"] == "UPSTREAM_FAILED"


def _wants(cores: Any) -> dict[str, Any]:
    return {"requirements": [{"class": "ResourceRequirement", "coresMin": cores}, {"class": JAVASCRIPT}]}


def test_a_step_goes_to_the_queue_that_its_expression_asks_for(cluster: World, tmp_path: Path) -> None:
    each = step(tool("a", **_wants("$(inputs.a)")), {"a": "n"}, scatter="a")
    wide = workflow({"n": "int[]"}, {"each": each}, {"o": output("each/out")}, SCATTER)
    row = _run(cluster, tmp_path, wide, {"n": [1, 2, 1]})
    assert [(a.queue, a.asked["cpus"]) for a in cluster.attempts(row.id)] == [
        ("default", 1.0), ("advanced", 2.0), ("default", 1.0),
    ]  # fmt: skip


def test_an_expression_that_asks_for_more_than_any_queue_has(cluster: World, tmp_path: Path) -> None:
    one = step(tool("a", **_wants("$(inputs.a * 2)")), {"a": "x"})
    row = _run(cluster, tmp_path, workflow({"x": "int"}, {"s": one}, {"o": output("s/out")}), {"x": 4})
    assert (row.state, row.error["type"]) == ("FAILED", "PlacementError")
    assert "step s asks for 8 CPUs" in row.error["message"]
    assert "advanced (2 CPUs, 2048 MiB)" in row.error["message"]
    assert cluster.started == []


def test_what_can_be_told_at_submit_is(cluster: World, tmp_path: Path) -> None:
    inner = _sub({"deep": step(tool("a", **_wants(64)), {"a": "x"})}, "deep/out")
    outer = workflow({"x": "int"}, {"sub": step(inner, {"x": "x"})}, {"o": output("sub/out")}, SUBWORKFLOW)
    with pytest.raises(PlacementError, match="step sub/deep asks for 64 CPUs"):
        cluster.check(write(tmp_path, outer), {"x": 1})
    operation = {"class": "Operation", "inputs": {"a": "int"}, "outputs": {"out": "int"}}
    document = workflow({"x": "int"}, {"s": step(operation, {"a": "x"})}, {"o": output("s/out")})
    with pytest.raises(UnsupportedError, match="'s' is an Operation"):
        cluster.check(write(tmp_path, document, "operation.cwl"), {"x": 1})
