"""A document becomes plain values, in the document's order, and what it uses it must declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from celeriac.document.load import load
from celeriac.errors import DocumentError
from celeriac.graph.check import check
from celeriac.graph.model import MISSING, Kind, Port, Process, Step
from celeriac.graph.translate import short

DOCUMENT = """\
cwlVersion: v1.1
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
  MultipleInputFeatureRequirement: {}
  StepInputExpressionRequirement: {}
  SubworkflowFeatureRequirement: {}
  InlineJavascriptRequirement: {}
inputs:
  texts: string[]
  more: {type: string, default: null}
outputs:
  all: {type: Any, outputSource: [zeta/o, inner/o], linkMerge: merge_flattened}
steps:
- id: zeta
  run: &tool
    class: ExpressionTool
    inputs: {t: string?}
    outputs: {o: string?}
    expression: '$({"o": inputs.t})'
  scatter: t
  in: {t: texts, extra: {default: null}, loaded: {source: more, loadContents: true, valueFrom: $(self)}}
  out: [o]
- id: inner
  in: {t: {source: [more, zeta/o], linkMerge: merge_nested, valueFrom: x}}
  out: [o]
  run:
    class: Workflow
    inputs: {t: string}
    outputs: {o: {type: string?, outputSource: alpha/o}}
    steps:
      alpha: {run: *tool, in: {t: t}, out: [o]}
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Process:
    path: Path = tmp_path_factory.mktemp("graph") / "doc.cwl"
    path.write_text(DOCUMENT)
    return load(str(path)).graph


def test_steps_are_in_the_documents_order(graph: Process) -> None:
    assert graph.kind is Kind.WORKFLOW and graph.steps is not None
    assert list(graph.steps) == ["zeta", "inner"]
    assert [path for path, _ in graph.walk()] == ["", "zeta", "inner", "inner/alpha"]
    assert graph.at("inner/alpha").kind is Kind.EXPRESSION
    assert graph.cwl_version == "v1.1"


def test_links_have_short_names(graph: Process) -> None:
    assert graph.outputs == (Port("all", ("zeta/o", "inner/o"), link_merge="merge_flattened"),)
    inner = graph.at("inner")
    assert inner.outputs == (Port("o", ("alpha/o",)),)


def test_the_ports_of_a_step(graph: Process) -> None:
    assert graph.steps is not None
    zeta, inner = graph.steps["zeta"], graph.steps["inner"]
    assert zeta.scatter == ("t",)
    ports = {port.name: port for port in zeta.inputs}
    assert ports["t"] == Port("t", ("texts",))
    assert ports["extra"] == Port("extra", default=None, connected=False)
    assert ports["loaded"] == Port("loaded", ("more",), value_from="$(self)", load_contents=True, connected=False)
    assert ports["t"].default is MISSING
    assert (inner.requires, zeta.requires) == (frozenset({"zeta"}), frozenset())


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("file:///x.cwl#main/align/out", "out"),
        ("file:///x.cwl#out", "out"),
        ("file:///d/x.cwl", "x.cwl"),
        ("_:1", "_:1"),
    ],
)
def test_short_names(identifier: str, name: str) -> None:
    assert short(identifier) == name


def workflow(port: Port, outputs: tuple[Port, ...] = (), **declared: bool) -> Process:
    tool = Process(Kind.TOOL, "tool", {})
    steps = {"s": Step("s", (port,), (), tool)}
    return Process(Kind.WORKFLOW, "wf", {}, steps=steps, outputs=outputs, **declared)


def test_two_sources_are_to_be_declared() -> None:
    check(workflow(Port("p", ("a",))))
    check(workflow(Port("p", ("a", "b")), multiple_input=True))
    with pytest.raises(DocumentError, match="step 's': the input 'p' has 2 sources.*MultipleInputFeatureRequirement"):
        check(workflow(Port("p", ("a", "b"))))
    with pytest.raises(DocumentError, match="the output 'o' has 2 sources"):
        check(workflow(Port("p", ("a",)), (Port("o", ("a", "b")),)))


def test_a_value_from_is_to_be_declared() -> None:
    check(workflow(Port("p", value_from="x"), step_expressions=True))
    with pytest.raises(DocumentError, match="has a valueFrom, but StepInputExpressionRequirement"):
        check(workflow(Port("p", value_from="x")))


@pytest.mark.parametrize(
    ("field", "entries"),
    [
        ("inputs", "[{id: x, type: int}, {id: x, type: string}]"),
        ("outputs", "[{id: x, type: int}, {id: x, type: int}]"),
    ],
)
def test_names_are_given_once(tmp_path: Path, field: str, entries: str) -> None:
    fields = {"inputs": "[]", "outputs": "[]", field: entries}
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (tmp_path / "doc.cwl").write_text(f"cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\n{text}")
    with pytest.raises(DocumentError, match=f"two {field} are called 'x'"):
        load(str(tmp_path / "doc.cwl"))


HINTED = """\
cwlVersion: v1.2
class: Workflow
$namespaces: {celeriac: "urn:celeriac:"}
hints: [{class: celeriac:reuse-container}]
inputs: {}
outputs: {}
steps:
  as_around: {in: {}, out: [], run: &tool {class: CommandLineTool, baseCommand: "true", inputs: {}, outputs: {}}}
  off: {in: {}, out: [], run: *tool, hints: {celeriac:reuse-container: {enable: false}}}
"""


def test_the_nearest_reuse_container_hint_counts(tmp_path: Path) -> None:
    path = tmp_path / "wf.cwl"
    path.write_text(HINTED)
    graph = load(str(path)).graph
    assert [graph.at(name).reuse_container for name in ("as_around", "off")] == [True, False]
    path.write_text(HINTED.replace("hints: [", "doc: [").replace("{class: celeriac:reuse-container}", ""))
    assert [load(str(path)).graph.at(name).reuse_container for name in ("as_around", "off")] == [None, False]


@pytest.mark.parametrize(
    ("hint", "problem"), [("{enable: 1}", "'enable' is 1"), ("{on: x}", "is no field of it")], ids=["value", "field"]
)
def test_a_reuse_container_hint_that_can_t_be_understood(tmp_path: Path, hint: str, problem: str) -> None:
    path = tmp_path / "wf.cwl"
    path.write_text(HINTED.replace("{enable: false}", hint))
    with pytest.raises(DocumentError, match=problem) as caught:
        load(str(path))
    assert "celeriac:reuse-container: {}" in caught.value.hint
