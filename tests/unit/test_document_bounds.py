"""YAML from outside that is too much: it is refused before anything is made of it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from celeriac.access import Access
from celeriac.document import bounds
from celeriac.document.bounds import check_steps, check_text, check_value
from celeriac.document.cache import DocumentCache
from celeriac.document.inputs import from_mapping
from celeriac.document.load import load
from celeriac.document.outside import Outside
from celeriac.errors import CeleriacError, DocumentError
from celeriac.graph.model import Kind, Process, Step


def laughs(levels: int = 9, width: int = 9) -> str:
    lines = [f"a0: &a0 [{', '.join(['lol'] * width)}]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines)


def merges(levels: int = 40) -> str:
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} {{b: *a{level - 1}, c: *a{level - 1}}}")
    return "\n".join(lines)


BAD = {
    "a billion laughs": (laughs(), "values"),
    "a billion laughs with what libyaml and ruamel.yaml may read apart": (laughs() + "\ns: 'a\u2028b'", "values"),
    "a billion laughs that libyaml gives up on": (laughs() + '\nz: "\\/ \\z"', "values"),
    "mappings that double": (merges(), "values"),
    "a list in itself": ("a: &a [*a]", "no end"),
    "a mapping in itself": ("a: &a {b: {c: *a}}", "no end"),
    "deep lists": ("a: " + "[" * 5000 + "]" * 5000, "levels deep"),
    "deep mappings": ("\n".join(" " * n + "a:" for n in range(100)) + " 1", "levels deep"),
    "deep JSON": ('{"a": ' * 3000 + "1" + "}" * 3000, "levels deep"),
    "many values": ("a: [" + "1, " * 300_000 + "1]", "values"),
    "a huge text": ("a: " + "x" * (bounds.FILE + 1), "bytes"),
    "a huge number": ("a: " + "9" * 100_000, "digits"),
    "a huge number with a sign": ("a: -" + "9" * 5000, "digits"),
    "a huge hexadecimal number": ("a: 0x" + "f" * 5000, "digits"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_before_it_grows(name: str, tmp_path: Path) -> None:
    text, says = BAD[name]
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match=says):
            check_text(text)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()
    path = tmp_path / "doc.cwl"
    path.write_text(text)
    with pytest.raises(DocumentError, match=says):
        load(str(path), outside=Outside(Access((str(tmp_path),))))


IMPORTS = {
    "itself": {"doc.cwl": "inputs: {$import: doc.cwl}"},
    "itself by its URL": {"doc.cwl": "inputs: {$import: 'file://DIR/doc.cwl'}"},
    "itself in other words": {"doc.cwl": "inputs: {$import: '%64oc.cwl'}"},
    "a part of itself": {"doc.cwl": "inputs: {$import: '#main'}"},
    "nothing": {"doc.cwl": "inputs: {$import: ''}"},
    "one that imports it": {"doc.cwl": "inputs: {$import: b.yml}", "b.yml": "a: [{$import: doc.cwl}]"},
    "itself by $mixin": {"doc.cwl": "inputs: {x: {$mixin: doc.cwl, type: int}}"},
    "by a quoted key": {"doc.cwl": 'inputs: {"\\x24import": doc.cwl}'},
    "by an alias": {"doc.cwl": "doc: &x doc.cwl\ninputs: {$import: *x}"},
    "by an alias as the key": {"doc.cwl": "doc: &x $import\ninputs: {*x : doc.cwl}"},
    "from another base": {"doc.cwl": "$base: file://DIR/a/b\ninputs: {$import: ../doc.cwl}"},
    "many in a row": {"doc.cwl": "inputs: {$import: 0.yml}"}
    | {f"{n}.yml": f"x: {{$import: {n + 1}.yml}}" for n in range(20)},
}


@pytest.mark.parametrize("name", IMPORTS)
def test_imports_end(tmp_path: Path, name: str) -> None:
    for file, text in IMPORTS[name].items():
        head = "cwlVersion: v1.2\nclass: CommandLineTool\noutputs: {}\n" if file == "doc.cwl" else ""
        (tmp_path / file).write_text(head + text.replace("DIR", str(tmp_path)))
    with pytest.raises(DocumentError, match=r"import|alias|base"):
        load(str(tmp_path / "doc.cwl"), outside=Outside(Access((str(tmp_path),))))


def test_imports_are_gone_through_once_however_many_ways_there_are() -> None:
    """Each of thirty files imports the thirty of the next layer: 20,000,000,000 ways to the last."""
    budget = bounds.Budget()
    files = [[f"{layer}-{number}.yml" for number in range(30)] for layer in range(bounds.IMPORTS)]
    for layer, below in zip(reversed(files), [[], *reversed(files)], strict=False):
        for name in layer:
            budget.follow(name, below)
    with pytest.raises(DocumentError, match=r"\$import"):
        budget.follow(files[-1][0], files[0][:1])


@given(
    edges=st.lists(st.tuples(st.integers(0, 12), st.sets(st.integers(0, 12), max_size=3)), max_size=13, unique_by=lambda e: e[0])  # fmt: skip  # noqa: E501
)
def test_imports_in_a_circle_or_too_many_in_a_row_are_refused(edges: list[tuple[int, set[int]]]) -> None:
    budget, refused = bounds.Budget(), False
    for name, to in edges:
        try:
            budget.follow(f"{name}.yml", [f"{one}.yml" for one in to])
        except DocumentError:
            refused = True
            break
    found = dict(edges)

    def longest(name: int, left: int) -> int:
        """Return how many files there are below one; more than ``left`` where they go on for ever."""
        return 0 if left < 0 else max((1 + longest(one, left - 1) for one in found.get(name, ())), default=0)

    assert refused == any(longest(name, bounds.IMPORTS) > bounds.IMPORTS for name in found)


def test_imports_that_meet_again_are_fine(tmp_path: Path) -> None:
    (tmp_path / "hint.yml").write_text("class: LoadListingRequirement\nloadListing: no_listing")
    (tmp_path / "doc.cwl").write_text(
        "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\noutputs: {}\n"
        "inputs: {}\nhints: [{$import: hint.yml}]\nrequirements: [{$import: hint.yml}]"
    )
    assert load(str(tmp_path / "doc.cwl"), outside=Outside(Access((str(tmp_path),))))


@pytest.mark.parametrize(
    "text", ["", "a: 1", "a: &x [1]\nb: *x", "&a x", "no: [end", "\x00", "a: *unknown", "- 1\n---\n- 2"]
)
def test_what_is_small_is_left_to_those_who_read_it(text: str) -> None:
    check_text(text)


@given(st.recursive(st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4), max_leaves=40))
def test_plain_values_pass(value: object) -> None:
    check_text(yaml.safe_dump({"a": value}))
    check_value({"a": value})


def test_a_job_is_bounded_as_well() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (deep, list(range(300_000))):
        with pytest.raises(DocumentError):
            from_mapping({"x": value}, "file:///doc.cwl", "/", Outside(Access()))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(DocumentError, match="levels deep"):
        from_mapping({"x": endless}, "file:///doc.cwl", "/", Outside(Access()))


def test_steps_are_counted_wherever_they_are_run_and_looked_at_once() -> None:
    process = Process(Kind.TOOL, "t")
    for level in range(60):
        inner = process
        process = Process(Kind.WORKFLOW, f"w{level}", steps={str(n): Step(str(n), (), (), inner) for n in range(2)})
    with pytest.raises(DocumentError, match="10000 are allowed"):
        check_steps(process)


def nested(directory: Path, levels: int) -> Path:
    tool = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\ninputs: {}\noutputs: {}\n"
    (directory / "w0.cwl").write_text(tool)
    for level in range(1, levels):
        steps = "".join(f"  s{n}: {{run: w{level - 1}.cwl, in: {{}}, out: []}}\n" for n in range(2))
        (directory / f"w{level}.cwl").write_text(
            "cwlVersion: v1.2\nclass: Workflow\nrequirements: {SubworkflowFeatureRequirement: {}}\n"
            f"inputs: {{}}\noutputs: {{}}\nsteps:\n{steps}"
        )
    return directory / f"w{levels - 1}.cwl"


def test_subworkflows_that_double_are_refused(tmp_path: Path) -> None:
    documents = DocumentCache.under(tmp_path / "cache")
    with pytest.raises(DocumentError, match="steps with those of its subworkflows"):
        documents.load(str(nested(tmp_path, 18)), outside=Outside(Access((str(tmp_path),))))


@pytest.mark.parametrize(
    "text",
    [
        "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nsteps: {one: {run: doc.cwl, in: {}, out: []}}",
        "$import: doc.cwl",
        "{cwlVersion: v1.2, class: CommandLineTool, inputs: {$import: doc.cwl}, outputs: {}}",
    ],
)
def test_a_document_in_itself_ends(tmp_path: Path, text: str) -> None:
    (tmp_path / "doc.cwl").write_text(text)
    with pytest.raises(CeleriacError):
        load(str(tmp_path / "doc.cwl"), outside=Outside(Access((str(tmp_path),))))


def test_the_files_of_a_document_are_bounded_together() -> None:
    budget = bounds.Budget(bytes=10, files=2)
    budget.spend("a", "12345")
    budget.spend("a", "12345")  # again: it is read once
    with pytest.raises(DocumentError, match="bytes together"):
        budget.spend("b", "123456")
    budget = bounds.Budget(files=1)
    budget.spend("a", "")
    with pytest.raises(DocumentError, match="files"):
        budget.spend("b", "")


@pytest.mark.parametrize("kind", ["pipe", "directory", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    import os

    path = tmp_path / "doc.cwl"
    roots = (str(tmp_path),) if kind != "device" else ("/dev",)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    with pytest.raises(CeleriacError):
        load(str(path), outside=Outside(Access(roots)))
