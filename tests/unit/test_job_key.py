"""What a job's key follows from, and what not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.document.load import load
from celeriac.expression.evaluate import install
from celeriac.job.content import Content
from celeriac.job.digests import LARGE, Digests
from celeriac.job.key import Key, key, refusal
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.request import JobRequest
from celeriac.resources import Resources

SEEN = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
JAVASCRIPT = {"class": "InlineJavascriptRequirement"}


class Bench:
    """Makes keys of one tool in many forms."""

    def __init__(self, directory: Path) -> None:
        install()
        self.directory = directory
        self._number = 0

    def request(self, options: RunOptions | None = None, inputs: Any = None, **fields: Any) -> JobRequest:
        """Return a request to run a tool of these fields, in a document of its own."""
        self._number += 1
        place = self.directory / str(self._number)
        place.mkdir()
        path = place / "tool.cwl"
        ports = {"inputs": fields.pop("ports")} if "ports" in fields else {}
        path.write_text(json.dumps({"cwlVersion": "v1.2", **document(**fields, **ports)}))
        return JobRequest(
            tool=load(str(path)).process, inputs=inputs or {}, place=Place(place), options=options or RunOptions(),
            name="attempt-id", title="the/step", granted=Resources(2, 512),
        )  # fmt: skip

    def key(
        self, image: str | None = None, options: RunOptions | None = None, inputs: Any = None, **fields: Any
    ) -> Key:
        return key(self.request(options, inputs, **fields), image)

    def file(self, content: str, name: str = "file.txt") -> dict[str, Any]:
        """Return a File of this content, at a place of its own."""
        self._number += 1
        path = self.directory / str(self._number) / name
        path.parent.mkdir()
        path.write_text(content)
        return {"class": "File", "location": path.as_uri(), "basename": name}


def document(**fields: Any) -> dict[str, Any]:
    return {
        "class": "CommandLineTool",
        "baseCommand": ["cat"],
        "inputs": {"reads": "File?", "number": "int?", "kind": {"type": {"type": "enum", "symbols": ["a", "b"]}}},
        "outputs": {"one": {"type": "File", "outputBinding": {"glob": "1"}}},
        **fields,
    }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def differ(one: Key, other: Key) -> set[str]:
    """Return the names of the parts that differ; they differ where the keys do."""
    names = {name for name in one.parts.keys() | other.parts.keys() if one.parts.get(name) != other.parts.get(name)}
    assert (one.name != other.name) == bool(names)
    return names


SAME: list[Mapping[str, Any]] = [
    {"label": "L", "doc": "D", "id": "other"},
    {"hints": [{"class": "ResourceRequirement", "coresMin": 3}, {"class": "ToolTimeLimit", "timelimit": 5}]},
    {"hints": [{"class": "DockerRequirement", "dockerPull": "any"}]},
    {"requirements": [{"class": "WorkReuse", "enableReuse": True}]},
    {"requirements": [{"class": "SubworkflowFeatureRequirement"}, {"class": "StepInputExpressionRequirement"}]},
    {"$namespaces": {"celeriac": "urn:celeriac:"}, "hints": [{"class": "celeriac:queue", "queue": "advanced"}]},
    {"$namespaces": {"celeriac": "urn:celeriac:"}, "hints": [{"class": "celeriac:reuse-container"}]},
    {"$namespaces": {"s": "https://schema.org/"}, "s:author": [{"s:name": "somebody"}]},
]
OTHER: list[tuple[Mapping[str, Any], str]] = [
    ({"baseCommand": ["tac"]}, "tool.baseCommand"),
    ({"arguments": ["-n"]}, "tool.arguments"),
    ({"stdout": "2"}, "tool.stdout"),
    ({"successCodes": [1]}, "tool.successCodes"),
    ({"cwlVersion": "v1.1"}, "tool.cwlVersion"),
    ({"outputs": {"two": {"type": "File", "outputBinding": {"glob": "1"}}}}, "tool.outputs"),
    ({"requirements": [JAVASCRIPT]}, "requirement.InlineJavascriptRequirement"),
    ({"hints": [{"class": "NetworkAccess", "networkAccess": True}]}, "requirement.NetworkAccess"),
    ({"requirements": [{"class": "EnvVarRequirement", "envDef": {"A": "1"}}]}, "requirement.EnvVarRequirement"),
    ({"requirements": [{"class": "ShellCommandRequirement"}]}, "requirement.ShellCommandRequirement"),
    ({"hints": [{"class": "SoftwareRequirement", "packages": [{"package": "x"}]}]}, "requirement.SoftwareRequirement"),
    (
        {"requirements": [{"class": "InitialWorkDirRequirement", "listing": [{"entryname": "a", "entry": "b"}]}]},
        "requirement.InitialWorkDirRequirement",
    ),
]  # fmt: skip


@pytest.mark.parametrize("fields", SAME, ids=lambda fields: str(list(fields)[-1]))
def test_what_changes_no_result_changes_no_key(bench: Bench, fields: Mapping[str, Any]) -> None:
    assert differ(bench.key(), bench.key(**fields)) == set()


@pytest.mark.parametrize(("fields", "part"), OTHER, ids=[part for _, part in OTHER])
def test_each_change_of_the_document_has_a_name(bench: Bench, fields: Mapping[str, Any], part: str) -> None:
    assert differ(bench.key(), bench.key(**fields)) == {part}


def test_outputs_that_change_places_are_others(bench: Bench) -> None:
    one, two = ({"type": "File", "outputBinding": {"glob": name}} for name in "12")
    assert differ(bench.key(outputs={"a": one, "b": two}), bench.key(outputs={"a": two, "b": one})) == {"tool.outputs"}


def test_streams_without_a_name_are_told_apart(bench: Bench) -> None:
    straight, crossed = {"a": "stdout", "b": "stderr"}, {"a": "stderr", "b": "stdout"}
    assert differ(bench.key(outputs=straight), bench.key(outputs=straight, label="L")) == set()
    assert differ(bench.key(outputs=straight), bench.key(outputs=crossed))


def test_what_is_nearer_holds(bench: Bench) -> None:
    one, two = ({"class": "EnvVarRequirement", "envDef": {"A": value}} for value in "12")
    assert differ(bench.key(requirements=[one]), bench.key(requirements=[one], hints=[two])) == set()


def test_a_default_counts_as_what_it_stands_for(bench: Bench) -> None:
    default = {"kind": {"type": {"type": "enum", "symbols": ["a", "b"]}}, "number": {"type": "int?", "default": 3}}
    explicit = {**default, "number": "int?"}
    keys = [bench.key(inputs=values, ports=ports) for values, ports in (({}, default), ({"number": 3}, explicit))]
    assert differ(*keys) == set()


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("$(runtime.cores)", True),
        ("$(runtime['ram'])", True),
        ("${return JSON.stringify(runtime)}", True),
        ("$(runtime.outdir)/$(runtime.tmpdir)", False),
        ("$(inputs.number)", False),
    ],
)
def test_what_is_granted_counts_where_it_is_asked_for(bench: Bench, text: str, counts: bool) -> None:
    request = bench.request(arguments=[text], requirements=[JAVASCRIPT])
    more = replace(request, granted=Resources(4, 512))
    assert differ(key(request, None), key(more, None)) == ({"runtime"} if counts else set())


def test_images_and_options(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert differ(bench.key("sha256:a"), bench.key("sha256:b")) == {"image"}
    assert "image" in differ(bench.key(), bench.key("sha256:a"))
    assert differ(bench.key("i"), bench.key("i", RunOptions(match_user=False))) == {"option.match_user"}
    assert differ(bench.key("i"), bench.key("i", RunOptions(read_only=False))) == {"option.read_only"}
    assert differ(bench.key(), bench.key(options=RunOptions(outdir="/x", on_error="continue", cachedir="/y"))) == set()
    before = bench.key("i", RunOptions(preserve_environment=("FLAVOUR",)))
    monkeypatch.setenv("FLAVOUR", "sour")
    assert differ(before, bench.key("i", RunOptions(preserve_environment=("FLAVOUR",)))) == {"environment.FLAVOUR"}


def test_what_is_never_reused(bench: Bench) -> None:
    inplace = {"class": "InplaceUpdateRequirement", "inplaceUpdate": True}
    assert refusal(bench.request()) is None
    assert "--no-reuse" in str(refusal(bench.request(RunOptions(reuse=False))))
    assert "--preserve-entire-environment" in str(refusal(bench.request(RunOptions(preserve_entire_environment=True))))
    assert "--no-compute-checksum" in str(refusal(bench.request(RunOptions(compute_checksum=False))))
    assert "in place" in str(refusal(bench.request(requirements=[inplace])))
    texts = (("$(inputs.number > 3)", False), ("$(inputs.number < 3)", True))
    for value, allowed in ((False, False), (True, True), *texts):
        work = {"class": "WorkReuse", "enableReuse": value}
        request = bench.request(inputs={"number": 1, "kind": "a"}, requirements=[work, JAVASCRIPT])
        assert (refusal(request) is None) == allowed, value


# --- inputs ----------------------------------------------------------------------------------------


def test_a_file_counts_by_content_and_name(bench: Bench) -> None:
    def of(file: dict[str, Any]) -> Key:
        return bench.key(inputs={"reads": file})

    one = of(bench.file("x"))
    assert differ(one, of(bench.file("x"))) == set()
    for other in (
        bench.file("y"),
        bench.file("x", "other.txt"),
        {**bench.file("x"), "format": "http://example.org/f"},
        {**bench.file("x"), "secondaryFiles": [bench.file("i", "i")]},
        {**bench.file("x"), "contents": "x"},  # an expression sees it
    ):
        assert differ(one, of(other)) == {"input.reads"}
    executable = bench.file("x")
    Path(executable["location"][7:]).chmod(0o755)
    assert differ(one, of(executable)) == {"input.reads"}


def test_a_location_counts_where_expressions_see_it(bench: Bench) -> None:
    fields = {"arguments": ["$(inputs.reads.location)"]}
    one, other = (bench.key(inputs={"reads": bench.file("x")}, **fields) for _ in range(2))
    assert differ(one, other) == {"input.reads"}


def test_what_is_not_here_has_no_key(bench: Bench) -> None:
    for location in ("file:///absent", "http://example.org/x"):
        with pytest.raises(OSError):
            bench.key(inputs={"reads": {"class": "File", "location": location}})


def test_a_checksum_is_taken_from_the_runs_own_large_files_only(tmp_path: Path) -> None:
    path = tmp_path / "run" / "large"
    path.parent.mkdir()
    path.write_bytes(b"x" * (LARGE + 1))
    file = {"class": "File", "location": path.as_uri(), "checksum": "sha1$given", "size": LARGE + 1}
    assert "sha1$given" in Content(Digests(), str(path.parent)).of(file)["content"]
    for content, other in (
        (Content(Digests(), str(tmp_path / "other")), file),
        (Content(Digests()), file),
        (Content(Digests(), str(tmp_path / "ru")), file),
        (Content(Digests(), str(path.parent)), {**file, "size": 5}),
    ):
        assert "sha1$given" not in content.of(other)["content"]


NAMES = st.text("abc", min_size=1, max_size=2)
TREES = st.recursive(st.text("xy", max_size=2), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=5)


def grow(path: Path, tree: Any) -> None:
    """Make a tree of files and directories."""
    if isinstance(tree, str):
        path.write_text(tree)
        return
    path.mkdir()
    for name, inner in tree.items():
        grow(path / name, inner)


@SEEN
@given(one=st.dictionaries(NAMES, TREES, max_size=3), other=st.dictionaries(NAMES, TREES, max_size=3))
def test_directories_are_the_same_if_all_that_is_in_them_is(bench: Bench, one: Any, other: Any) -> None:
    found = []
    for tree in (one, other):
        bench._number += 1
        path = bench.directory / str(bench._number) / "tree"
        path.parent.mkdir()
        grow(path, tree)
        found.append(Content(Digests()).of({"class": "Directory", "location": path.as_uri() + "/"}))
    assert (found[0] == found[1]) == (one == other)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> JobRequest:
    """Return one request for all examples: to load a document takes long."""
    return Bench(tmp_path_factory.mktemp("bench")).request()


@SEEN
@given(one=VALUES, other=VALUES)
def test_plain_values_count_as_they_are(request_: JobRequest, one: Any, other: Any) -> None:
    keys = [key(replace(request_, inputs={"number": value}), None) for value in (one, other)]
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (keys[0] == keys[1]) == same


def test_making_a_key_changes_nothing(bench: Bench) -> None:
    request = bench.request(inputs={"reads": bench.file("x"), "kind": "a"})
    before = json.dumps([request.inputs, request.tool.tool], default=str)
    assert key(request, None) == key(request, None)
    assert json.dumps([request.inputs, request.tool.tool], default=str) == before
