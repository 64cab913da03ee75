"""What a step asks for: ResourceRequirement and the hints beside it, from real documents and real files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.document.load import load
from celeriac.errors import CeleriacError, DocumentError, ExpressionError, PlacementError, UnsupportedError
from celeriac.expression.evaluate import install
from celeriac.graph.translate import NAMESPACE
from celeriac.job.ask import ask, static
from celeriac.job.options import RunOptions
from celeriac.resources import Ask, QueueLimits, Resources
from celeriac.scheduler.placement import placement

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
JAVASCRIPT = {"class": "InlineJavascriptRequirement"}
SPACES = {"$namespaces": {"cwltool": "http://commonwl.org/cwltool#", "celeriac": NAMESPACE}}
INPUTS = {"f": "File?", "n": "Any?"}


@pytest.fixture(autouse=True)
def engine() -> Iterator[None]:
    install()
    yield


def wants(**fields: Any) -> dict[str, Any]:
    """Return a ResourceRequirement."""
    return {"class": "ResourceRequirement", **fields}


def tool(*requirements: Any, hints: Any = (), **fields: Any) -> dict[str, Any]:
    return {
        "class": "CommandLineTool", "baseCommand": ["true"], "inputs": INPUTS, "outputs": {},
        "requirements": list(requirements), "hints": list(hints), **fields,
    }  # fmt: skip


class Steps:
    """A workflow of one step ``s``, and what its tool asks for."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "wf.cwl"

    def write(self, run: Any, *requirements: Any, hints: Any = (), version: str = "v1.2", **fields: Any) -> None:
        """Write the workflow; what is beside ``run`` belongs to the step, ``workflow`` to what is around it."""
        around = fields.pop("workflow", {})
        own = {"requirements": list(requirements), "hints": list(hints)}
        step = {"run": run, "in": {name: name for name in INPUTS}, "out": [], **own}
        document = {
            "cwlVersion": version, "class": "Workflow", "inputs": INPUTS, "outputs": {}, "steps": {"s": step},
            **fields, **around,
        }  # fmt: skip
        self.path.write_text(json.dumps(document))

    def ask(self, run: Any, *requirements: Any, inputs: Any = None, **fields: Any) -> Ask:
        """Return what the step asks for with these inputs; what can be told without them is told the same."""
        self.write(run, *requirements, **fields)
        document = load(str(self.path))
        graph = document.graph.at("s")
        found = ask(graph, lambda: document.tool("s"), inputs or {}, RunOptions(), "s")
        assert static(graph, "s") in (None, found)
        return found


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    """A file of 3000 bytes, as a step gets it."""
    path = tmp_path / "data"
    path.write_bytes(b"x" * 3000)
    return {"class": "File", "location": path.as_uri(), "basename": "data", "size": 3000}


# --- constants -----------------------------------------------------------------------------------

ONE = Resources(1, 256)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Ask(ONE)),
        ({"coresMin": 2, "ramMin": 100}, Ask(Resources(2, 100), cpus=2, ram=100)),
        ({"coresMax": 2, "ramMax": 100}, Ask(Resources(2, 100), cpus=2, ram=100)),
        ({"coresMin": 1, "coresMax": 4, "ramMin": 5, "ramMax": 9}, Ask(Resources(1, 5), cpus=4, ram=9)),
        ({"ramMin": 700}, Ask(Resources(1, 700), ram=700)),
        ({"coresMin": 3}, Ask(Resources(3, 256), cpus=3)),
        ({"coresMin": 0.5, "ramMin": 0.5}, Ask(Resources(0.5, 1), cpus=0.5, ram=1)),
        ({"ramMin": 100.2, "ramMax": 100.7}, Ask(Resources(1, 101), ram=101)),
        ({"coresMin": 0, "ramMin": 0}, Ask(ONE)),
        ({"tmpdirMin": 5, "outdirMax": 6.5}, Ask(ONE, tmpdir=5, outdir=7)),
        ({"tmpdirMin": 2, "tmpdirMax": 9}, Ask(ONE, tmpdir=2)),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_constants(steps: Steps, fields: dict[str, Any], expected: Ask) -> None:
    least, most, disk = expected.least, (expected.cpus, expected.ram), (expected.tmpdir, expected.outdir)
    found = steps.ask(tool(wants(**fields)))
    assert (found.least, (found.cpus, found.ram)) == (least, most)
    assert (found.tmpdir, found.outdir) == tuple(amount or 1024 for amount in disk), "CWL's default is 1024 MiB"
    assert not found.silent
    as_hint = steps.ask(tool(hints=[wants(**fields)]))
    assert as_hint == found


@pytest.mark.parametrize(("version", "ram"), [("v1.0", 1024), ("v1.1", 256), ("v1.2", 256)])
def test_what_a_document_leaves_out_is_the_default_of_its_version(steps: Steps, version: str, ram: int) -> None:
    found = steps.ask(tool(), version=version)
    assert found == Ask(Resources(1, ram), tmpdir=1024, outdir=1024, silent=True)
    found = steps.ask(tool(wants(coresMin=2)), version=version)
    assert (found.least, found.ram, found.silent) == (Resources(2, ram), None, False)


AMOUNTS = st.one_of(st.integers(1, 10_000), st.floats(0.25, 10_000))


@given(
    cores=st.none() | st.tuples(AMOUNTS, st.none() | AMOUNTS), ram=st.none() | st.tuples(AMOUNTS, st.none() | AMOUNTS)
)
@FEW
def test_the_range_that_is_written_is_the_range_that_is_asked(tmp_path: Path, cores: Any, ram: Any) -> None:
    fields = {}
    for name, pair in (("cores", cores), ("ram", ram)):
        if pair is not None:
            fields[f"{name}Min"] = pair[0] if pair[1] is None else min(pair)
            fields[f"{name}Max"] = None if pair[1] is None else max(pair)
    found = Steps(tmp_path).ask(tool(wants(**{key: value for key, value in fields.items() if value is not None})))
    if cores is None:
        assert (found.least.cpus, found.cpus) == (1, None)
    else:
        assert (found.least.cpus, found.cpus) == (fields["coresMin"], fields["coresMax"] or fields["coresMin"])
    if ram is None:
        assert (found.least.ram, found.ram) == (256, None)
    else:
        assert 0 <= found.least.ram - fields["ramMin"] < 1, "rounded up: no tool gets less than it asked for"
        assert found.ram is not None and 0 <= found.ram - (fields["ramMax"] or fields["ramMin"]) < 1


# --- expressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "least", "most"),
    [
        ({"ramMin": "$(inputs.f.size)"}, Resources(1, 3000), (None, 3000)),
        ({"ramMin": "$(inputs.f.size / 7)"}, Resources(1, 429), (None, 429)),
        ({"ramMin": "$(inputs.f.size)", "ramMax": 4000}, Resources(1, 3000), (None, 4000)),
        ({"ramMin": 100, "ramMax": "$(inputs.f.size)"}, Resources(1, 100), (None, 3000)),
        ({"coresMin": "$(inputs.n)"}, Resources(3, 256), (3, None)),
        ({"coresMin": "${ return inputs.n / 2; }", "ramMin": 10}, Resources(1.5, 10), (1.5, 10)),
        ({"coresMin": 2, "tmpdirMin": "$(inputs.f.size)"}, Resources(2, 256), (2, None)),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_expressions_see_the_step_s_inputs(
    steps: Steps, data: dict[str, Any], fields: dict[str, Any], least: Resources, most: tuple[Any, Any]
) -> None:
    found = steps.ask(tool(wants(**fields), JAVASCRIPT), inputs={"f": data, "n": 3})
    assert (found.least, (found.cpus, found.ram)) == (least, most)
    assert found.tmpdir == (3000 if "tmpdirMin" in fields else 1024)


def test_a_parameter_reference_needs_no_javascript(steps: Steps, data: dict[str, Any]) -> None:
    assert steps.ask(tool(wants(ramMin="$(inputs.f.size)")), inputs={"f": data}).least.ram == 3000


def test_an_expression_can_not_be_told_without_inputs(steps: Steps) -> None:
    steps.write(tool(wants(outdirMin="$(inputs.n)")))
    assert static(load(str(steps.path)).graph.at("s")) is None


def test_what_gives_null_or_nothing_asks_for_the_default(steps: Steps) -> None:
    """A file of 200 KiB, rounded down to MiB, is 0: the tool needs some memory all the same."""
    for value in (None, 0):
        found = steps.ask(tool(wants(ramMin="$(inputs.n)")), inputs={"n": value})
        assert (found.least, found.ram) == (ONE, 256)


def test_what_has_no_number_in_json_is_as_null(steps: Steps) -> None:
    assert steps.ask(tool(wants(ramMin="$(1 / 0)"), JAVASCRIPT)).least == ONE


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("lots", "ramMin 'lots': a number was expected"),
        ("12", "ramMin '12': a number was expected"),
        (True, "ramMin True: a number was expected"),
        (math.nan, "ramMin nan: a number was expected"),
    ],
)
def test_an_expression_that_gives_no_number_is_named(steps: Steps, value: Any, said: str) -> None:
    with pytest.raises(PlacementError) as caught:
        steps.ask(tool(wants(ramMin="$(inputs.n)")), inputs={"n": value})
    assert caught.value.message == f"'s' asks for {said}"
    assert caught.value.hint and caught.value.fields["step"] == "s"


@pytest.mark.parametrize("value", [[1], {"a": 1}], ids=str)
def test_an_expression_that_gives_something_else_is_named(steps: Steps, value: Any) -> None:
    with pytest.raises(CeleriacError, match="the resources of 's' can't be evaluated"):
        steps.ask(tool(wants(ramMin="$(inputs.n)")), inputs={"n": value})


@pytest.mark.parametrize(("key", "value"), [("ramMin", math.inf), ("coresMin", math.inf), ("ramMin", -5)])
def test_what_no_queue_can_hold_is_left_to_the_placement(steps: Steps, key: str, value: float) -> None:
    found = steps.ask(tool(wants(**{key: "$(inputs.n)"})), inputs={"n": value})
    with pytest.raises(PlacementError, match="step s asks for .* finite and not negative"):
        placement(found, [QueueLimits("huge", cpus=1e9, ram=10**12)], step="s")


@pytest.mark.parametrize("key", ["coresMax", "ramMax"])
def test_a_most_without_an_end_is_the_queue_s(steps: Steps, key: str) -> None:
    fields = {key.replace("Max", "Min"): 1, key: "$(inputs.n)"}
    found = steps.ask(tool(wants(**fields)), inputs={"n": math.inf})
    assert (found.cpus, found.ram) == (None, None)


@pytest.mark.parametrize("value", [math.inf, -1])
@pytest.mark.parametrize("key", ["tmpdirMin", "outdirMin"])
def test_room_for_files_is_an_amount(steps: Steps, key: str, value: float) -> None:
    with pytest.raises(PlacementError, match=f"'s' asks for {key} .*: a finite number that is not negative"):
        steps.ask(tool(wants(**{key: "$(inputs.n)"})), inputs={"n": value})


def test_an_expression_that_fails_says_where(steps: Steps) -> None:
    with pytest.raises(ExpressionError) as caught:
        steps.ask(tool(wants(ramMin="${ throw 'no size'; }"), JAVASCRIPT))
    assert "no size" in caught.value.message
    assert "the resources of 's'" in str(caught.value)


@pytest.mark.parametrize("static_", [True, False], ids=["constant", "expression"])
@pytest.mark.parametrize("key", ["cores", "ram"])
def test_a_most_below_the_least_is_an_error_that_names_both(steps: Steps, key: str, static_: bool) -> None:
    fields = {f"{key}Min": 4 if static_ else "$(inputs.n)", f"{key}Max": 2}
    with pytest.raises(PlacementError) as caught:
        steps.ask(tool(wants(**fields)), inputs={"n": 4})
    assert f"'s' asks for {key}Min 4 and {key}Max 2" in caught.value.message
    assert "ResourceRequirement" in caught.value.hint


# --- where it is written -------------------------------------------------------------------------


def test_requirements_are_inherited_from_the_workflow(steps: Steps) -> None:
    around = {"requirements": [wants(ramMin=700)]}
    assert steps.ask(tool(), workflow=around).least.ram == 700
    assert steps.ask(tool(), workflow={"hints": [wants(ramMin=700)]}).least.ram == 700


def test_the_step_overrides_the_workflow_and_the_tool_the_step(steps: Steps) -> None:
    around = {"requirements": [wants(ramMin=700)]}
    assert steps.ask(tool(), wants(ramMin=800), workflow=around).least.ram == 800
    assert steps.ask(tool(wants(ramMin=900)), wants(ramMin=800), workflow=around).least.ram == 900


def test_a_requirement_overrides_every_hint(steps: Steps) -> None:
    assert steps.ask(tool(hints=[wants(ramMin=900)]), wants(ramMin=800)).least.ram == 800
    around = {"requirements": [wants(ramMin=700)]}
    assert steps.ask(tool(hints=[wants(ramMin=900)]), hints=[wants(ramMin=800)], workflow=around).least.ram == 700
    assert steps.ask(tool(hints=[wants(ramMin=900)]), hints=[wants(ramMin=800)]).least.ram == 900


def test_one_requirement_is_taken_whole(steps: Steps) -> None:
    """The step's requirement replaces the tool's hint; fields are not mixed."""
    found = steps.ask(tool(hints=[wants(coresMin=4, ramMin=900)]), wants(ramMin=800))
    assert (found.least, found.cpus) == (Resources(1, 800), None)


def test_an_inherited_expression_sees_the_inputs_of_the_step(steps: Steps, data: dict[str, Any]) -> None:
    around = {"requirements": [wants(ramMin="$(inputs.f.size)")]}
    assert steps.ask(tool(), workflow=around, inputs={"f": data}).least.ram == 3000


# --- GPUs ----------------------------------------------------------------------------------------


def cuda(**fields: Any) -> dict[str, Any]:
    """Return cwltool's CUDARequirement."""
    return {"class": "cwltool:CUDARequirement", "cudaVersionMin": "11", "cudaComputeCapability": "3.0", **fields}


@pytest.mark.parametrize(
    ("fields", "gpus"),
    [
        ({}, 1),
        ({"cudaDeviceCountMin": 2}, 2),
        ({"cudaDeviceCountMax": 3}, 3),
        ({"cudaDeviceCountMin": 2, "cudaDeviceCountMax": 4}, 2),
        ({"cudaDeviceCountMin": "$(inputs.n)"}, 5),
    ],
    ids=json.dumps,
)
def test_gpus_are_asked_for_beside_the_rest(steps: Steps, fields: dict[str, Any], gpus: int) -> None:
    found = steps.ask(tool(wants(coresMin=2), hints=[cuda(**fields)]), inputs={"n": 5}, **SPACES)
    assert (found.least, found.silent) == (Resources(2, 256, gpus), False)
    found = steps.ask(tool(hints=[cuda(**fields)]), inputs={"n": 5}, **SPACES)
    assert (found.least, found.cpus, found.ram) == (Resources(1, 256, gpus), None, None)
    assert not found.silent, "a queue marked as the default is no better for it"


# --- the queue -----------------------------------------------------------------------------------


def goes_to(name: Any, key: str = "queue") -> list[dict[str, Any]]:
    return [{"class": "celeriac:queue", key: name}]


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v1.2"])
@pytest.mark.parametrize("spaces", [SPACES, {}], ids=["namespace", "no namespace"])
def test_a_queue_is_named_at_the_workflow_the_step_or_the_tool(
    steps: Steps, spaces: dict[str, Any], version: str
) -> None:
    around = {"hints": goes_to("large")}
    both = {**spaces, "version": version}
    assert steps.ask(tool(), **both).queue is None
    assert steps.ask(tool(hints=goes_to("advanced")), **both).queue == "advanced"
    assert steps.ask(tool(), hints=goes_to("advanced"), **both).queue == "advanced"
    assert steps.ask(tool(), workflow=around, **both).queue == "large"
    assert steps.ask(tool(), hints=goes_to("advanced"), workflow=around, **both).queue == "advanced"
    assert steps.ask(tool(hints=goes_to("tool")), hints=goes_to("step"), workflow=around, **both).queue == "tool"


def test_the_nearest_hint_counts_however_it_is_written(steps: Steps, tmp_path: Path) -> None:
    """A tool of another file, which declares no namespace, in a workflow that does."""
    (tmp_path / "tool.cwl").write_text(json.dumps({"cwlVersion": "v1.2", **tool(hints=goes_to("tool"))}))
    assert steps.ask("tool.cwl", workflow={"hints": goes_to("large")}, **SPACES).queue == "tool"


def test_a_queue_and_a_step_may_have_one_name(steps: Steps) -> None:
    assert steps.ask(tool(hints=goes_to("s")), workflow={"hints": goes_to("s")}).queue == "s"


def test_a_named_queue_is_no_ask(steps: Steps) -> None:
    found = steps.ask(tool(hints=goes_to("advanced")))
    assert (found.least, found.silent) == (ONE, True)


def test_a_map_of_hints_is_the_same(steps: Steps) -> None:
    run = {**tool(), "hints": {"celeriac:queue": {"queue": "advanced"}}}
    assert steps.ask(run, **SPACES).queue == "advanced"


@pytest.mark.parametrize("spaces", [SPACES, {}], ids=["namespace", "no namespace"])
@pytest.mark.parametrize(
    "hints",
    [goes_to(3), goes_to(""), goes_to(None), goes_to(["a"]), goes_to("advanced", key="name"), goes_to("a", key="q")],
    ids=json.dumps,
)
def test_a_hint_that_names_no_queue_is_refused_at_load(
    steps: Steps, spaces: dict[str, Any], hints: list[dict[str, Any]]
) -> None:
    steps.write(tool(hints=hints), **spaces)
    with pytest.raises(DocumentError, match="the hint celeriac:queue names no queue: its field 'queue' is") as caught:
        load(str(steps.path))
    assert "celeriac:queue: {queue: advanced}" in caught.value.hint
    assert caught.value.where.endswith("wf.cwl")


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v1.2"])
def test_a_file_that_several_steps_run_has_one_version(tmp_path: Path, version: str) -> None:
    """cwltool updates a file in memory as it loads it, and takes it for a newer one from then on."""
    (tmp_path / "tool.cwl").write_text(json.dumps({"cwlVersion": version, **tool(JAVASCRIPT)}))
    step = {"run": "tool.cwl", "in": {}, "out": []}
    inline = {"run": tool(), "in": {}, "out": []}
    document = {
        "cwlVersion": version, "class": "Workflow", "inputs": {}, "outputs": {},
        "steps": {"a": step, "b": step, "c": step, "d": inline},
    }  # fmt: skip
    (tmp_path / "wf.cwl").write_text(json.dumps(document))
    graph = load(str(tmp_path / "wf.cwl")).graph
    assert {path: process.cwl_version for path, process in graph.walk()} == dict.fromkeys(
        ["", "a", "b", "c", "d"], version
    )


@pytest.mark.parametrize("name", ["cwltool:CUDARequirement", "celeriac:queue", "celeriac:reuse-container"])
def test_what_is_obeyed_as_a_hint_only_says_so(tmp_path: Path, name: str) -> None:
    fields = {"cudaVersionMin": "11.4", "cudaComputeCapability": "3.0", "queue": "advanced"}
    document = {"cwlVersion": "v1.2", **SPACES, **tool({"class": name, **fields})}
    (tmp_path / "tool.cwl").write_text(json.dumps(document))
    with pytest.raises(UnsupportedError, match="can't stand under `requirements`") as caught:
        load(str(tmp_path / "tool.cwl"))
    assert "move it to `hints`" in caught.value.hint
