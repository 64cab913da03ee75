"""Intermediate outputs: gone when their last reader has ended well, never sooner, never what somebody still names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from celeriac.graph.model import Kind, Port, Process, Step
from celeriac.journal.tables import attempts
from celeriac.scheduler.unread import newly, unread
from celeriac.states import NodeState
from tests.unit.engine_documents import JAVASCRIPT, SCATTER, SUBWORKFLOW, output, step, workflow, write
from tests.unit.engine_harness import Exit, World, world

# --- which steps ---------------------------------------------------------------------------------

TOOL = Process(Kind.TOOL, "tool")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Process, dict[str, NodeState]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    steps = {}
    for number, name in enumerate(names):
        needs = draw(st.sets(st.sampled_from(names[:number]))) if number else set()
        steps[name] = Step(name, (), ("out",), TOOL, requires=frozenset(needs))
    given_out = draw(st.sets(st.sampled_from(names)))
    outputs = tuple(Port(name, (f"{name}/out",)) for name in given_out)
    states = draw(st.dictionaries(st.sampled_from(names), st.sampled_from(list(NodeState))))
    return Process(Kind.WORKFLOW, "wf", steps=steps, outputs=outputs), states


@given(graphs())
def test_a_step_is_unread_when_all_that_read_it_have_ended_well(drawn: tuple[Process, dict[str, NodeState]]) -> None:
    process, states = drawn
    steps = process.steps or {}
    for name in steps:
        readers = [other for other, one in steps.items() if name in one.requires]
        over = all(states.get(other) in (NodeState.SUCCESS, NodeState.SKIPPED) for other in readers)
        gives = any(f"{name}/out" in (port.sources or ()) for port in process.outputs)
        expected = states.get(name) is NodeState.SUCCESS and over and not gives
        assert (name in unread(process, states)) == expected


@given(graphs(), st.data())
def test_each_step_s_turn_comes_with_the_end_of_one_that_reads_it(
    drawn: tuple[Process, dict[str, NodeState]], data: st.DataObject
) -> None:
    process, states = drawn
    last = data.draw(st.sampled_from(sorted(process.steps or {})))
    before = {**states, last: NodeState.RUNNING}
    after = {**states, last: NodeState.SUCCESS}
    assert unread(process, after) - unread(process, before) <= newly(process, after, [last])


# --- real runs -----------------------------------------------------------------------------------

FILE: dict[str, Any] = {
    "class": "CommandLineTool",
    "baseCommand": ["true"],
    "inputs": {"a": {"type": ["int", "File", {"type": "array", "items": "File"}], "inputBinding": {}}},
    "outputs": {"out": "stdout"},
    "stdout": "made.txt",
}
SAME = {
    "class": "ExpressionTool",
    "requirements": [{"class": JAVASCRIPT}],
    "inputs": {"a": "File"},
    "outputs": {"out": "File"},
    "expression": "${ return {out: inputs.a}; }",
}


class Tools:
    """Each tool gives the texts of the files that it gets, added up; with ``fails`` the one that gets that fails."""

    def __init__(self) -> None:
        self.fails = ""

    def __call__(self, words: Sequence[str]) -> str:
        texts = [Path(word).read_text() if "/" in word else word for word in words]
        if self.fails and self.fails in texts:
            raise Exit(1)
        return "".join(texts) + "+"


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def cluster(tmp_path: Path, tools: Tools) -> Iterator[World]:
    with world(tmp_path / "home", tools) as made:
        yield made


def chain(**more: Any) -> dict[str, Any]:
    """Return a workflow a -> b -> c, of which c's file is the output."""
    steps = {
        "a": step(FILE, {"a": "x"}),
        "b": step(FILE, {"a": "a/out"}),
        "c": step(FILE, {"a": "b/out"}),
        **more,
    }
    return workflow({"x": "int"}, steps, {"o": output("c/out")}, SCATTER, SUBWORKFLOW)


def finish(cluster: World, document: Path, x: Any = 1, **options: Any) -> str:
    return str(cluster.finished(document, {"x": x}, remove_intermediate=True, **options).id)


def there(cluster: World, run: str) -> set[str]:
    """Return the paths of the jobs whose output directories are there."""
    return {one.path for one in cluster.attempts(run) if one.directory and (Path(one.directory) / "out").exists()}


def text(value: Mapping[str, Any]) -> str:
    return Path(urlsplit(value["location"]).path).read_text()


def test_a_chain_keeps_its_output_alone(cluster: World, tmp_path: Path) -> None:
    run = finish(cluster, write(tmp_path, chain()))
    assert there(cluster, run) == {"c"}
    assert text(cluster.run(run).outputs["o"]) == "1+++"
    tried = next(one for one in cluster.attempts(run) if one.path == "a")
    assert (Path(tried.directory) / "stderr.log").exists(), "logs stay"


def test_nothing_goes_unless_the_run_wants_it(cluster: World, tmp_path: Path) -> None:
    run = cluster.finished(write(tmp_path, chain()), {"x": 1}).id
    assert there(cluster, run) == {"a", "b", "c"}


def test_a_file_stays_as_long_as_one_of_its_readers_has_not_ended(cluster: World, tmp_path: Path) -> None:
    document = write(tmp_path, chain(late=step(FILE, {"a": "a/out"}), last=step(FILE, {"a": "c/out"})))
    run = cluster.start(document, {"x": 1}, remove_intermediate=True)
    held = []
    while cluster.pending:
        message = cluster.take()
        name = next((one.path for one in cluster.attempts(run) if one.id == message.name), "")
        if name == "late" and message.kind == "execute":
            held.append(message)
        else:
            cluster.deliver(message)
    assert cluster.nodes(run)["c"] == "SUCCESS" and "a" in there(cluster, run) and "b" not in there(cluster, run)
    for message in held:
        cluster.deliver(message)
    cluster.drain()
    assert there(cluster, run) == {"c"} and text(cluster.run(run).outputs["o"]) == "1+++"


def test_what_an_expression_hands_on_stays_till_that_is_read(cluster: World, tmp_path: Path) -> None:
    steps = {
        "a": step(FILE, {"a": "x"}),
        "same": step(SAME, {"a": "a/out"}),
        "b": step(FILE, {"a": "same/out"}),
        "c": step(FILE, {"a": "b/out"}),
    }
    document = write(tmp_path, workflow({"x": "int"}, steps, {"o": output("c/out")}))
    run = finish(cluster, document)
    assert there(cluster, run) == {"c"} and text(cluster.run(run).outputs["o"]) == "1+++"
    document = write(tmp_path, workflow({"x": "int"}, steps, {"o": output("c/out"), "p": output("same/out")}))
    run = finish(cluster, document)
    assert there(cluster, run) == {"a", "c"} and text(cluster.run(run).outputs["p"]) == "1+"


def test_subworkflows_and_scatters(cluster: World, tmp_path: Path) -> None:
    inner = workflow(
        {"x": "int"},
        {"one": step(FILE, {"a": "x"}), "two": step(FILE, {"a": "one/out"})},
        {"out": output("two/out", "File")},
    )
    steps = {
        "wide": step(inner, {"x": "x"}, scatter="x"),
        "plain": step(FILE, {"a": "x"}, scatter="a"),
        "join": step(FILE, {"a": "wide/out"}),
        "all": step(FILE, {"a": "plain/out"}),
    }
    outputs = {"o": output("join/out"), "plain": output("plain/out")}
    document = write(tmp_path, workflow({"x": "int[]"}, steps, outputs, SCATTER, SUBWORKFLOW))
    run = finish(cluster, document, [1, 2, 3])
    assert there(cluster, run) == {"join", "plain[0]", "plain[1]", "plain[2]"}
    found = cluster.run(run).outputs
    assert text(found["o"]) == "1++2++3+++" and [text(one) for one in found["plain"]] == ["1+", "2+", "3+"]


def test_what_a_failed_step_has_read_stays(cluster: World, tmp_path: Path, tools: Tools) -> None:
    tools.fails = "1++"
    run = finish(cluster, write(tmp_path, chain()), on_error="continue")
    assert cluster.nodes(run)["c"] == "FAILED"
    assert "b" in there(cluster, run) and "a" not in there(cluster, run), "it may be run again"


def test_what_is_removed_is_reused_by_nobody(cluster: World, tmp_path: Path) -> None:
    document = write(tmp_path, chain())
    first = finish(cluster, document)
    keys = {one.path: one.key for one in cluster.attempts(first)}
    assert keys["a"] is None and keys["b"] is None
    again = finish(cluster, document)
    assert text(cluster.run(again).outputs["o"]) == "1+++"


def test_what_another_run_took_over_stays(cluster: World, tmp_path: Path) -> None:
    document = write(tmp_path, chain())
    other = cluster.finished(document, {"x": 2}).id
    run = cluster.start(document, {"x": 1}, remove_intermediate=True)
    while not any(one.path == "b" for one in cluster.attempts(run)):
        cluster.deliver(cluster.take())
    giver = next(one.id for one in cluster.attempts(run) if one.path == "a")
    with cluster.engine.database.begin() as connection:
        taker = update(attempts).where(attempts.c.run_id == other, attempts.c.path == "a")
        connection.execute(taker.values(reused=giver, key="k"))
    cluster.drain()
    assert there(cluster, run) == {"a", "c"}
