"""A document from its snapshot is the same document, with its files gone and no network."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.document.cache import DocumentCache
from celeriac.document.document import Document
from celeriac.document.load import load, load_snapshot
from celeriac.document.snapshot import Snapshot
from celeriac.errors import DocumentError
from celeriac.graph.model import Kind, Process

EXAMPLES = Path(__file__).parents[2] / "examples"

IMPORTS = {
    "doc.cwl": """\
cwlVersion: v1.0
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
  SchemaDefRequirement: {types: [{$import: parts/types.yml}]}
inputs: {c: parts/types.yml#color}
outputs: {o: {type: Any, outputSource: inner/o}}
steps:
  inner: {run: parts/inner.cwl, in: {c: c}, out: [o]}
""",
    "parts/types.yml": "{type: enum, name: color, symbols: [red, blue]}\n",
    "parts/inner.cwl": """\
cwlVersion: v1.2
class: Workflow
requirements: {SchemaDefRequirement: {types: [{$import: types.yml}]}}
inputs: {c: types.yml#color}
outputs: {o: {type: Any, outputSource: tool/o}}
steps:
- {id: tool, run: ../tool.cwl, in: {c: c}, out: [o]}
- id: inline
  in: {c: c}
  out: []
  run: {class: CommandLineTool, baseCommand: 'true', inputs: {c: Any}, outputs: []}
""",
    "tool.cwl": """\
cwlVersion: v1.1
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {expressionLib: [{$include: parts/lib.js}]}}
inputs: {c: Any}
outputs: {o: Any}
expression: '$(give(inputs.c))'
""",
    "parts/lib.js": "function give(c) { return {o: c}; }\n",
}


CLASSES = {Kind.TOOL: "CommandLineTool", Kind.EXPRESSION: "ExpressionTool", Kind.WORKFLOW: "Workflow"}


def write(directory: Path, files: dict[str, str]) -> Path:
    """Write files; returns the first."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / next(iter(files))


@pytest.fixture(params=["imports", "packed", "quickstart", "genomics"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A document in a directory of its own."""
    if request.param == "imports":
        return write(tmp_path / "doc", IMPORTS)
    if request.param == "packed":
        graph = "[{class: CommandLineTool, id: main, baseCommand: 'true', inputs: [], outputs: []}]"
        return write(tmp_path / "doc", {"doc.cwl": f"cwlVersion: v1.2\n$graph: {graph}\n"})
    ignored = shutil.ignore_patterns("data", ".*")
    return Path(shutil.copytree(EXAMPLES / request.param, tmp_path / "doc", ignore=ignored)) / "workflow.cwl"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket, "socket", refuse)


def anonymous(process: Process) -> Process:
    """Return the graph without the names that cwltool makes up for inline processes."""
    steps = {
        name: dataclasses.replace(step, process=anonymous(step.process)) for name, step in (process.steps or {}).items()
    }
    return dataclasses.replace(process, name="", steps=steps if process.steps is not None else None)


def test_the_same_graph_without_files_and_network(source: Path, no_network: None) -> None:
    loaded = load(str(source))
    body = loaded.snapshot.body
    shutil.rmtree(source.parent)
    again = load_snapshot(Snapshot.from_body(body))
    assert anonymous(again.graph) == anonymous(loaded.graph)
    assert again.hash == loaded.hash
    assert again.process.tool["id"] == loaded.process.tool["id"]


def test_every_process_is_found_by_its_step_path(source: Path, no_network: None) -> None:
    loaded = load(str(source))
    shutil.rmtree(source.parent)
    again = load_snapshot(loaded.snapshot)
    for path, process in loaded.graph.walk():
        assert again.tool(path).tool["class"] == CLASSES[process.kind]


def test_the_hash_is_the_content(source: Path) -> None:
    before = load(str(source)).hash
    assert load(str(source)).hash == before
    source.write_text(source.read_text() + "\n# changed\n")
    assert load(str(source)).hash != before


def test_what_is_not_in_the_snapshot_is_not_looked_for(tmp_path: Path) -> None:
    snapshot = load(str(write(tmp_path, IMPORTS))).snapshot
    lost = {uri: text for uri, text in snapshot.texts.items() if not uri.endswith("tool.cwl")}
    with pytest.raises(DocumentError, match=r"tool\.cwl"):
        load_snapshot(dataclasses.replace(snapshot, texts=lost))


def test_targets_and_overrides_are_part_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, IMPORTS)
    requirement = {"class": "ResourceRequirement", "coresMin": 7}
    override = {"overrideTarget": path.as_uri() + "#inner", "requirements": [requirement]}
    loaded = load(str(path), [override], targets=["o"])
    again = load_snapshot(Snapshot.from_body(loaded.snapshot.body))
    assert again.snapshot.targets == ["o"]
    assert again.snapshot.overrides == loaded.snapshot.overrides != []
    assert anonymous(again.graph) == anonymous(loaded.graph)
    assert load(str(path)).hash != loaded.hash


TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3)


@given(st.builds(Snapshot, uri=st.text(), texts=TEXTS, exists=st.dictionaries(st.text(max_size=5), st.booleans())))
def test_the_body_holds_all(snapshot: Snapshot) -> None:
    again = Snapshot.from_body(snapshot.body)
    assert again == snapshot
    assert (again.body, again.hash) == (snapshot.body, snapshot.hash)


def test_the_cache_loads_a_snapshot_once_and_keeps_few(tmp_path: Path) -> None:
    asked: list[str] = []
    snapshots = []
    for number in range(3):
        path = write(tmp_path / str(number), IMPORTS)
        snapshots.append(load(str(path)).snapshot)
    cache = DocumentCache(size=2)

    def get(snapshot: Snapshot) -> Document:
        return cache.get(snapshot.hash, lambda: asked.append(snapshot.uri) or snapshot.body)

    first = get(snapshots[0])
    assert get(snapshots[0]) is first
    get(snapshots[1])
    get(snapshots[2])
    assert get(snapshots[0]) is not first
    assert asked == [snapshots[number].uri for number in (0, 1, 2, 0)]
