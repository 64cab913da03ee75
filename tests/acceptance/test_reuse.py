"""What an earlier run did is not done again, unless something that it follows from has changed."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.acceptance.commands import HANG, Desk, desk

#: Each tool writes its letter into a file outside: so often it was run.
MARK = 'echo {name} >> "$(inputs.marks)"; echo {name} is heard'
JAVASCRIPT = {"InlineJavascriptRequirement": {}}


def tool(name: str, command: str = 'cat "$(inputs.reads.path)"', **fields: Any) -> dict[str, Any]:
    """Return a tool that reads a file and writes one; what it says goes to standard error."""
    script = f"({MARK.format(name=name)}) >&2; {command}"
    return {
        "class": "CommandLineTool",
        "requirements": JAVASCRIPT,
        "baseCommand": ["sh", "-c"],
        "arguments": [script],
        "inputs": {"reads": "File", "marks": "string"},
        "outputs": {"out": "stdout"},
        "stdout": f"{name}.txt",
        **fields,
    }


def workflow(**steps: Mapping[str, Any]) -> dict[str, Any]:
    """Return a chain of steps; a step is a tool, with what else its step has under ``step``."""
    made, source = {}, "reads"
    for name, given in steps.items():
        process = dict(given)
        more = process.pop("step", {})
        made[name] = {"run": process, "in": {"reads": source, "marks": "marks"}, "out": ["out"], **more}
        source = f"{name}/out"
    outputs = {"out": {"type": "Any", "outputSource": source}}
    document = {"cwlVersion": "v1.2", "class": "Workflow", "inputs": {"reads": "File", "marks": "string"}}
    return {**document, "steps": made, "outputs": outputs}


@dataclass(frozen=True)
class Lab:
    """A desk with a workflow, its input and the file of marks."""

    desk: Desk

    @property
    def reads(self) -> Path:
        return self.desk.directory / "reads.txt"

    def write(self, document: Mapping[str, Any], name: str = "wf.cwl") -> None:
        (self.desk.directory / name).write_text(json.dumps(document))

    def run(self, *options: str, code: int = 0, document: str = "wf.cwl") -> str:
        """Run the workflow and keep its files; return the letters of the tools that were run."""
        marks = self.desk.directory / "marks"
        marks.unlink(missing_ok=True)
        words = ("--reads", str(self.reads), "--marks", str(marks))
        done = self.desk("run", "--leave-tmpdir", "--outdir", "out", *options, document, *words, code=code)
        assert code or json.loads(done.stdout)["out"]
        return "".join(sorted(marks.read_text().split())) if marks.exists() else ""

    def why(self, step: str = "a") -> str:
        """Return what is told of a step's reuse in the newest run."""
        run = self.desk.newest()
        found = self.desk.json("why", run, step)["reuse"]["text"]
        assert found in self.desk("why", run, step).stdout
        return str(found)

    def output(self, step: str = "a") -> Path:
        """Return the file that a step made in the newest run."""
        return Path(json.loads(self.desk("outputs", self.desk.newest(), step).stdout)["out"]["path"])


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    found = Lab(desk(tmp_path))
    found.reads.write_text("ACGT\n")
    found.write(workflow(a=tool("a"), b=tool("b")))
    return found


def test_after_the_failing_step_was_edited_the_others_are_not_run_again(lab: Lab) -> None:
    lab.write(workflow(a=tool("a"), b=tool("b"), c=tool("c", "exit 3")))
    assert lab.run(code=1) == "abc"
    first = lab.desk.newest()
    lab.write(workflow(a=tool("a"), b=tool("b"), c=tool("c", 'sort "$(inputs.reads.path)"')))
    assert lab.run() == "c"
    assert lab.why("a").startswith(f"it was not run: reused from attempt 1 of a of run {first} (")
    assert lab.why("c") == f"it ran, since tool.arguments changed (against run {first})"
    assert (lab.desk.directory / "out" / "c.txt").read_text() == "ACGT\n"


def test_a_run_that_ended_well_leaves_nothing_and_gives_nothing(lab: Lab) -> None:
    words = ("--reads", str(lab.reads), "--marks", str(lab.desk.directory / "marks"))
    for _ in range(2):
        lab.desk("run", "--outdir", "out", "wf.cwl", *words)
    assert (lab.desk.directory / "marks").read_text().split() == ["a", "b"] * 2
    assert list((lab.desk.home / "runs").iterdir()) == []
    assert "keeps its files no longer" in lab.why()


def test_a_run_whose_files_another_one_has_taken_keeps_them(lab: Lab) -> None:
    lab.write(workflow(a=tool("a"), b=tool("b", "exit 3")))
    lab.run(code=1)
    made = lab.output()
    lab.write(workflow(a=tool("a"), b=tool("b", "exit 4")))
    assert lab.run(code=1) == "b"
    assert lab.output() == made


def test_the_same_again_is_told_everywhere(lab: Lab) -> None:
    assert lab.run() == "ab"
    assert lab.run() == ""
    run = lab.desk.newest()
    status = lab.desk.json("status", run, "--all")
    assert [step["reused"] for step in status["steps"]] == [1, 1]
    assert all(item["reused"] for item in status["items"])
    assert "2 of 2 jobs done, 2 reused" in lab.desk("status", run).stdout
    assert lab.desk("logs", "--stderr", run, "a").stdout == "a is heard\n"


def test_each_item_of_a_scatter_takes_another_ones_outputs(lab: Lab) -> None:
    document = workflow(a=tool("a", step={"scatter": "reads"}))
    step = document["steps"]["a"]
    step["in"]["reads"] = {"source": ["reads", "reads"], "linkMerge": "merge_nested"}
    document["requirements"] = {"ScatterFeatureRequirement": {}, "MultipleInputFeatureRequirement": {}}
    lab.write(document)
    assert lab.run() == "aa"
    names = {path.name for path in (lab.desk.directory / "out").iterdir()}
    assert lab.run("--outdir", "again") == ""
    assert {path.name for path in (lab.desk.directory / "again").iterdir()} == names and len(names) == 2


# --- what changes the key --------------------------------------------------------------------------


def test_an_input_with_another_content_under_all_the_same_names_and_times(lab: Lab) -> None:
    lab.run()
    first, before = lab.desk.newest(), lab.reads.stat()
    lab.reads.write_text("TGCA\n")
    os.utime(lab.reads, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert lab.run() == "ab"
    assert lab.why() == f"it ran, since input 'reads' changed (against run {first})"


def test_an_input_that_was_only_touched_or_moved(lab: Lab) -> None:
    lab.run()
    os.utime(lab.reads)
    assert lab.run() == ""
    other = lab.desk.directory / "elsewhere"
    other.mkdir()
    lab.reads.rename(other / "reads.txt")
    lab.reads.symlink_to(other / "reads.txt")
    assert lab.run() == ""


def test_an_edited_base_command(lab: Lab) -> None:
    lab.run()
    lab.write(workflow(a=tool("a", baseCommand=["sh", "-e", "-c"]), b=tool("b")))
    assert lab.run() == "a"  # what b reads is the same still
    assert "tool.baseCommand changed" in lab.why()


def test_what_goes_to_a_file_without_a_name(lab: Lab) -> None:
    nameless = tool("a")
    del nameless["stdout"]
    lab.write(workflow(a=nameless))
    lab.run()
    lab.write(workflow(a={**nameless, "label": "A"}), "other.cwl")
    assert lab.run(document="other.cwl") == ""


def test_what_is_for_people_and_where_it_lies_changes_nothing(lab: Lab) -> None:
    lab.run()
    hints = {"ResourceRequirement": {"coresMin": 1, "ramMin": 300}, "ToolTimeLimit": {"timelimit": 50}}
    lab.write(workflow(a=tool("a", doc="the first", label="A", hints=hints), b=tool("b")), "other.cwl")
    assert lab.run(document="other.cwl") == ""


def test_an_environment_variable_that_is_handed_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("one", "ab"), ("one", ""), ("two", "ab")):
        monkeypatch.setenv("FLAVOUR", value)
        assert lab.run("--preserve-environment", "FLAVOUR") == expected
    assert "the environment variable FLAVOUR changed" in lab.why()


# --- outputs that are gone -------------------------------------------------------------------------


def _delete(path: Path) -> None:
    path.unlink()


def _alter(path: Path) -> None:
    before = path.stat()
    path.write_text("TTTT\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("spoil", "said"), [(_delete, "is not there any more"), (_alter, "was changed")], ids=["deleted", "altered"]
)
def test_an_output_that_is_no_longer_what_it_was(lab: Lab, spoil: Callable[[Path], None], said: str) -> None:
    lab.run()
    first, made = lab.desk.newest(), lab.output()
    spoil(made)
    assert lab.run() == "a"
    assert lab.why() == f"it ran, since of the outputs of run {first} {made} {said}"
    assert (lab.desk.directory / "out" / "b.txt").read_text() == "ACGT\n"


def test_an_output_directory_in_which_something_changed(lab: Lab) -> None:
    listing = {"out": {"type": "Directory", "outputBinding": {"glob": "found"}}}
    lab.write(workflow(a=tool("a", "mkdir -p found/in; echo x > found/in/x", outputs=listing)))
    lab.run()
    assert lab.run() == ""
    made = lab.output()
    (made / "in" / "x").write_text("y\n")
    assert lab.run() == "a"
    assert lab.why().endswith(f"what is in the output directory {made} was changed")


# --- turned off ------------------------------------------------------------------------------------


def test_no_reuse(lab: Lab) -> None:
    lab.run()
    assert lab.run("--no-reuse") == "ab"
    assert lab.why() == "it ran; reuse is off: --no-reuse"


@pytest.mark.parametrize(
    "given",
    [
        {"hints": {"WorkReuse": {"enableReuse": False}}},
        {"hints": {"WorkReuse": {"enableReuse": "$(inputs.reads.size > 100)"}}},
        {"step": {"requirements": {"WorkReuse": {"enableReuse": False}}}},
    ],
    ids=["tool", "expression", "step"],
)
def test_work_reuse(lab: Lab, given: dict[str, Any]) -> None:
    lab.write(workflow(a=tool("a", **given), b=tool("b")))
    lab.run()
    assert lab.run() == "a"
    assert lab.why() == "it ran; reuse is off: the document forbids it (WorkReuse)"


def test_a_cache_directory_outlives_the_runs(lab: Lab) -> None:
    words = ("--reads", str(lab.reads), "--marks", str(lab.desk.directory / "marks"))
    for _ in range(2):
        lab.desk("run", "--cachedir", "kept", "--outdir", "out", "wf.cwl", *words)
    assert (lab.desk.directory / "marks").read_text().split() == ["a", "b"]
    assert lab.why().startswith("it was not run: its outputs come from the cache directory ")


# --- images ----------------------------------------------------------------------------------------


@pytest.fixture
def retag(docker_engine: str, docker_images: dict[str, str]) -> Iterator[tuple[str, Callable[[str], None]]]:
    """Yield an image's name, and what has it stand for an image of a flavour."""
    client = docker.APIClient(base_url=docker_engine, timeout=HANG)
    name = f"celeriac-test-{uuid.uuid4().hex[:8]}"
    made: dict[str, str] = {}

    def retag(flavour: str) -> None:
        if flavour not in made:
            container = client.create_container(docker_images["alpine"], ["true"])["Id"]
            made[flavour] = client.commit(container, changes=[f"ENV FLAVOUR={flavour}"])["Id"]
            client.remove_container(container)
        client.tag(made[flavour], name, "1")

    yield f"{name}:1", retag
    client.remove_image(f"{name}:1")
    for image in made.values():
        with suppress(docker.errors.ImageNotFound):
            client.remove_image(image)


def test_an_image_of_the_same_name_that_is_another_one(
    tmp_path: Path, docker_engine: str, retag: tuple[str, Callable[[str], None]]
) -> None:
    lab = Lab(desk(tmp_path, DOCKER_HOST=docker_engine))
    lab.reads.write_text("ACGT\n")
    name, stand_for = retag
    requirements = {**JAVASCRIPT, "DockerRequirement": {"dockerPull": name}}
    told = {"reads": "File", "marks": "string"}
    document = tool("a", inputs=told, arguments=["echo $FLAVOUR"], requirements=requirements)
    lab.write({"cwlVersion": "v1.2", **document}, "tool.cwl")
    reused = []
    for flavour in ("sweet", "sweet", "sour"):
        stand_for(flavour)
        lab.run(document="tool.cwl")
        run = lab.desk.newest()
        reused.append(lab.desk.json("status", run)["steps"][0]["reused"])
        made = json.loads(lab.desk("outputs", run).stdout)["out"]["path"]
        assert Path(made).read_text() == f"{flavour}\n"
    assert reused == [0, 1, 0]
    assert "the image changed" in lab.why("")
