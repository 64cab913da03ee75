"""What a document has many times is loaded once, and is what cwltool alone would make of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwltool import process, workflow
from ruamel.yaml.comments import LineCol

from celeriac.document import types
from celeriac.document.document import Document
from celeriac.document.load import load, load_snapshot
from celeriac.document.schemas import SchemaCache
from celeriac.errors import DocumentError

TOOL = """\
cwlVersion: v1.0
class: CommandLineTool
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {out: stdout}
"""
HINT = "{class: ResourceRequirement, coresMin: 2}"


def flow(folder: Path, steps: str) -> Document:
    (folder / "tool.cwl").write_text(TOOL)
    (folder / "flow.cwl").write_text(
        "cwlVersion: v1.2\nclass: Workflow\nrequirements: {SubworkflowFeatureRequirement: {}}\n"
        f"inputs: {{text: string}}\noutputs: {{}}\nsteps:\n{steps}"
    )
    return load(str(folder / "flow.cwl"), schemas=SchemaCache(folder / "cache"))


def step(name: str, run: str = "tool.cwl", more: str = "") -> str:
    return f"  {name}: {{run: {run}, in: {{text: text}}, out: []{more}}}\n"


def test_steps_that_run_the_same_share_it(tmp_path: Path) -> None:
    document = flow(tmp_path, step("a") + step("b") + step("c", more=f", requirements: [{HINT}]") + step("d"))
    assert document.tool("a") is document.tool("b") is document.tool("d")
    assert document.tool("c") is not document.tool("a"), "what it asks for is another thing"
    assert document.tool("c").get_requirement("ResourceRequirement")[0]["coresMin"] == 2
    assert document.tool("a").get_requirement("ResourceRequirement")[0] is None
    assert document.graph.at("a") is document.graph.at("b")
    assert {document.graph.at(name).cwl_version for name in "abcd"} == {"v1.0"}


def test_a_snapshot_gives_the_same(tmp_path: Path) -> None:
    document = flow(tmp_path, step("a") + step("b"))
    again = load_snapshot(document.snapshot, SchemaCache(tmp_path / "cache"))
    assert again.graph == document.graph
    assert again.tool("a") is again.tool("b")


def test_documents_share_nothing(tmp_path: Path) -> None:
    first = flow(tmp_path, step("a"))
    assert flow(tmp_path, step("a")).tool("a") is not first.tool("a")


def test_a_tool_of_a_graph_is_shared_too(tmp_path: Path) -> None:
    (tmp_path / "flow.cwl").write_text(
        "cwlVersion: v1.2\n$graph:\n"
        "- {class: CommandLineTool, id: echo, baseCommand: echo, inputs: {text: string}, outputs: {}}\n"
        "- class: Workflow\n  id: main\n  inputs: {text: string}\n  outputs: {}\n  steps:\n"
        + "".join(f"  {step(name, repr('#echo'))}" for name in "ab")
    )
    document = load(f"{tmp_path}/flow.cwl", schemas=SchemaCache(tmp_path / "cache"))
    assert document.tool("a") is document.tool("b")


def test_a_workflow_in_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="refers to itself"):
        flow(tmp_path, step("a", "flow.cwl"))


def test_a_wrong_tool_is_wrong_at_every_step(tmp_path: Path) -> None:
    (tmp_path / "bad.cwl").write_text(TOOL.replace("baseCommand", "baseComand"))
    with pytest.raises(DocumentError, match=r"bad\.cwl:3:1.*baseComand"):
        flow(tmp_path, step("a", "bad.cwl") + step("b", "bad.cwl"))


def test_the_replaced_functions_are_those_that_cwltool_calls() -> None:
    source = Path(process.__file__).read_text()
    assert "self.names = make_avro_schema([SCHEMA_FILE, SCHEMA_DIR, SCHEMA_ANY], Loader({}))" in source
    assert source.count("Loader({})") == 1 and source.count(" make_valid_avro(") == 3
    assert "self.embedded_tool = load_tool(toolpath_object" in Path(workflow.__file__).read_text()
    assert hasattr(LineCol, "__deepcopy__")


def test_the_types_are_kept_on_disk(tmp_path: Path) -> None:
    flow(tmp_path, step("a"))
    kept = next((tmp_path / "cache").glob("schema-types-*"))
    written = kept.stat().st_mtime_ns
    cache = SchemaCache(tmp_path / "cache")
    cache.install()
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(b"no pickle")
    SchemaCache(tmp_path / "cache").install()
    assert kept.read_bytes() != b"no pickle", "what can't be read back is written anew"
    assert set(types.Types.make().names.names) >= {"org.w3id.cwl.cwl.File", "org.w3id.cwl.salad.Any"}
