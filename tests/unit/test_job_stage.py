"""What a tool sees of its inputs: every kind of InitialWorkDirRequirement, as a process and in a container."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from celeriac.container.base import CancelToken, Command, Mount
from celeriac.container.stub import StubRunner
from celeriac.document.load import load
from celeriac.expression.evaluate import install
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.job.request import JobRequest
from celeriac.job.run import JobRunner
from celeriac.states import Outcome

#: What the tool sees: its working directory's files by relative path, and how to look at any path.
View = Callable[[str], Path]
KINDS = ["process", "container"]


class Tool:
    """Runs one tool of a document and looks at what was staged for it."""

    def __init__(self, directory: Path, kind: str) -> None:
        install()
        self.directory = directory
        self.kind = kind
        self.mounts: tuple[Mount, ...] = ()
        self.original = directory / "original.txt"
        self.original.write_text("original")
        (directory / "folder" / "deep").mkdir(parents=True)
        (directory / "folder" / "deep" / "in.txt").write_text("inside")

    def run(
        self, listing: Any, look: Callable[[Command, View], None], docker: str = "requirements", **inputs: Any
    ) -> JobReport:
        """Run a tool with an InitialWorkDirRequirement; ``look`` plays it."""
        needs: list[Any] = [{"class": "InlineJavascriptRequirement"}]
        image = {"class": "DockerRequirement", "dockerPull": "alpine"}
        if listing is not None:
            needs.append({"class": "InitialWorkDirRequirement", "listing": listing})
        document: dict[str, Any] = {
            "cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": ["true"], "requirements": needs,
            "inputs": dict.fromkeys(inputs, "Any"), "outputs": {},
        }  # fmt: skip
        if self.kind == "container":
            document.setdefault(docker, []).append(image)
        path = self.directory / "tool.cwl"
        path.write_text(json.dumps(document))
        return self._run(path, inputs, look)

    def _run(self, path: Path, inputs: Mapping[str, Any], look: Callable[[Command, View], None]) -> JobReport:
        def play(command: Command, cancel: CancelToken) -> int:
            self.mounts = command.container.mounts if command.container else ()
            look(command, self.host)
            return 0

        runner = StubRunner(play)
        place = Place(self.directory / "attempt")
        request = JobRequest(load(str(path)).process, dict(inputs), place, RunOptions(), "name", "title")
        return JobRunner(lambda: runner, lambda: runner).run(request, CancelToken())

    def host(self, path: str) -> Path:
        """Return where on the host a path of the tool lies."""
        best = max((m for m in self.mounts if _under(path, m.target)), key=lambda m: len(m.target), default=None)
        return Path(best.source + path[len(best.target) :]) if best else Path(path)

    def writable(self, path: str) -> bool:
        """Whether the tool may write at a path."""
        best = max((m for m in self.mounts if _under(path, m.target)), key=lambda m: len(m.target), default=None)
        return best.writable if best else os.access(path, os.W_OK)

    def file(self, **fields: Any) -> dict[str, Any]:
        return {"class": "File", "location": self.original.as_uri(), "basename": "original.txt", **fields}

    def folder(self, **fields: Any) -> dict[str, Any]:
        return {"class": "Directory", "location": (self.directory / "folder").as_uri(), "basename": "folder", **fields}


def _under(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


@pytest.fixture(params=KINDS)
def tool(tmp_path: Path, request: pytest.FixtureRequest) -> Tool:
    return Tool(tmp_path, request.param)


FILE, FOLDER = "$(inputs.f)", "$(inputs.d)"
#: the entry of the listing -> the path in the working directory, its text, and whether it may be written
TABLE: dict[str, tuple[Any, str, str, bool]] = {
    "a file": (FILE, "original.txt", "original", False),
    "a file with another name": ({"entry": FILE, "entryname": "new.txt"}, "new.txt", "original", False),
    "a file in a folder": ({"entry": FILE, "entryname": "sub/new.txt"}, "sub/new.txt", "original", False),
    "a writable file": ({"entry": FILE, "writable": True}, "original.txt", "original", True),
    "a writable file in a folder": (
        {"entry": FILE, "entryname": "sub/w.txt", "writable": True}, "sub/w.txt", "original", True,
    ),
    "a text": ({"entry": "some $(inputs.n)", "entryname": "t.txt"}, "t.txt", "some 7", False),
    "a writable text": ({"entry": "x", "entryname": "t.txt", "writable": True}, "t.txt", "x", True),
    "a text in a folder": ({"entry": "x", "entryname": "a/b/t.txt"}, "a/b/t.txt", "x", False),
    "an object as JSON": ({"entry": "$({'a': [1]})", "entryname": "o.json"}, "o.json", '{"a": [1]}', False),
    "a literal": ("$({'class': 'File', 'basename': 'l.txt', 'contents': 'lit'})", "l.txt", "lit", False),
    "a folder": (FOLDER, "folder/deep/in.txt", "inside", False),
    "a writable folder": ({"entry": FOLDER, "writable": True}, "folder/deep/in.txt", "inside", True),
    "a folder with another name": ({"entry": FOLDER, "entryname": "g"}, "g/deep/in.txt", "inside", False),
    "a folder made up": (
        "$({'class': 'Directory', 'basename': 'm', 'listing': [inputs.f]})", "m/original.txt", "original", False,
    ),
    "non-ASCII text": ({"entry": "žluťoučký\n", "entryname": "é ü.txt"}, "é ü.txt", "žluťoučký\n", False),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_initial_work_dir(tool: Tool, name: str) -> None:
    entry, where, expected, writable = TABLE[name]
    seen = []

    def look(command: Command, view: View) -> None:
        path = f"{command.workdir}/{where}"
        seen.append(view(path).read_text())
        if writable:
            assert tool.writable(path)
            with view(path).open("a") as file:
                file.write(" changed")
        elif tool.kind == "container" and "original" in expected:
            assert not tool.writable(path), "an input can't be changed"

    report = tool.run([entry], look, f=tool.file(), d=tool.folder(), n=7)
    assert (report.outcome, report.error) == (Outcome.SUCCESS, None)
    assert seen == [expected]
    assert tool.original.read_text() == "original"
    assert (tool.directory / "folder" / "deep" / "in.txt").read_text() == "inside"


def test_an_empty_folder_made_up(tool: Tool) -> None:
    def look(command: Command, view: View) -> None:
        assert view(f"{command.workdir}/empty").is_dir()

    report = tool.run(["$({'class': 'Directory', 'basename': 'empty', 'listing': []})"], look)
    assert report.outcome is Outcome.SUCCESS


def test_many_files_of_one_expression(tool: Tool) -> None:
    other = tool.directory / "other.txt"
    other.write_text("other")
    files = [tool.file(), {"class": "File", "location": other.as_uri(), "basename": "other.txt"}]

    def look(command: Command, view: View) -> None:
        assert [view(f"{command.workdir}/{n}.txt").read_text() for n in ("original", "other")] == ["original", "other"]

    assert tool.run("$(inputs.files)", look, files=files).outcome is Outcome.SUCCESS


def test_an_input_is_seen_and_its_neighbours_are_not(tool: Tool) -> None:
    (tool.directory / "neighbour.txt").write_text("secret")
    seen = []

    def look(command: Command, view: View) -> None:
        staged = [m for m in tool.mounts if m.source == str(tool.original)]
        assert all(not mount.writable for mount in staged)
        seen.append(len(staged))

    assert tool.run(None, look, f=tool.file()).outcome is Outcome.SUCCESS
    assert seen == [1 if tool.kind == "container" else 0]
    assert not any(mount.source == str(tool.directory) for mount in tool.mounts)


def test_an_absolute_place_needs_a_required_container(tool: Tool) -> None:
    entry = {"entry": "x", "entryname": "/opt/place/t.txt"}

    def look(command: Command, view: View) -> None:
        assert view("/opt/place/t.txt").read_text() == "x"

    report = tool.run([entry], look)
    if tool.kind == "container":
        assert report.outcome is Outcome.SUCCESS
        report = tool.run([entry], look, docker="hints")
    assert report.outcome is Outcome.PERMANENT
    assert not Path("/opt/place").exists()


CLIMBERS: list[Any] = [
    {"entryname": "../evil", "entry": "x"},
    {"entryname": "a/../../evil", "entry": "x"},
    "${return [{'class':'File','basename':'../../evil','contents':'x'}]}",
    "${return [{'class':'Directory','basename':'d','listing':"
    "[{'class':'File','basename':'../../../evil','contents':'x'}]}]}",
]


@pytest.mark.parametrize("number", range(len(CLIMBERS)))
def test_a_document_can_not_climb_out(tool: Tool, number: int) -> None:
    entry = CLIMBERS[number]
    report = tool.run(entry if isinstance(entry, str) else [entry], lambda command, view: None)
    assert report.outcome is Outcome.PERMANENT and report.error is not None
    assert not list(tool.directory.parent.rglob("evil"))


@pytest.mark.parametrize("basename", ["../../evil", "d/../../../evil", "{absolute}"])
def test_a_job_can_not_climb_out(tool: Tool, basename: str) -> None:
    absolute = tool.directory / "elsewhere" / "evil"
    file = tool.file(basename=basename.format(absolute=absolute))
    report = tool.run(None, lambda command, view: None, f=file)
    if basename.startswith("{") and tool.kind == "container":
        assert report.outcome is Outcome.SUCCESS, "it is a place in the container"
    else:
        assert report.outcome is Outcome.PERMANENT and "outside" in str(report.error)
    assert not list(tool.directory.rglob("evil")) and not absolute.exists()


def test_an_input_that_is_gone_is_named(tool: Tool) -> None:
    gone = tool.file(location=(tool.directory / "gone.txt").as_uri())
    report = tool.run(None, lambda command, view: None, f=gone)
    assert report.outcome is Outcome.PERMANENT
    assert "gone.txt" in str(report.error)
