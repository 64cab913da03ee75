"""A job's values: read, resolved, checked against what the document asks for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.document.document import Document
from celeriac.document.inputs import Job, from_mapping, initialise, read
from celeriac.document.load import load
from celeriac.errors import DocumentError, InputError

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: 'true'
inputs:
  n: {type: int, default: 3}
  text: string?
  file: {type: File?, secondaryFiles: [{pattern: .idx, required: false}]}
  folder: Directory?
  many: {type: ["null", {type: array, items: Any}]}
outputs: []
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    path: Path = tmp_path_factory.mktemp("inputs") / "tool.cwl"
    path.write_text(TOOL)
    return load(str(path))


def job(document: Document, directory: Path, text: str) -> dict[str, Any]:
    """Return a run's inputs from the text of a job file."""
    file = directory / "job.yml"
    file.write_text(text)
    return initialise(document, read(str(file), document.snapshot.uri), 5)


def test_defaults_are_filled_in(document: Document, tmp_path: Path) -> None:
    assert job(document, tmp_path, "{}")["n"] == 3
    assert job(document, tmp_path, "n: 4")["n"] == 4
    assert job(document, tmp_path, "text: a")["text"] == "a"


def test_inputs_that_the_document_has_not_are_dropped(document: Document, tmp_path: Path) -> None:
    assert "other" not in job(document, tmp_path, "other: 1")


def test_files_get_their_size_and_secondary_files(document: Document, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("four")
    (tmp_path / "a.txt.idx").write_text("")
    file = job(document, tmp_path, "file: {class: File, path: a.txt}")["file"]
    assert (file["location"], file["size"]) == ((tmp_path / "a.txt").as_uri(), 4)
    assert [one["basename"] for one in file["secondaryFiles"]] == ["a.txt.idx"]


def test_the_same_from_python(document: Document, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("four")
    given = {"file": {"class": "File", "path": Path("a.txt")}, "many": (1, "x")}
    found = initialise(document, from_mapping(given, document.snapshot.uri, str(tmp_path)), 5)
    assert found["file"]["location"] == (tmp_path / "a.txt").as_uri()
    assert found["many"] == [1, "x"]


def test_a_job_on_stdin(document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("n: 5\ntext: [1]\n"))
    found = read("-", document.snapshot.uri)
    assert (found.values["n"], found.basedir) == (5, str(tmp_path))
    with pytest.raises(InputError, match=r"^stdin:2: the input 'text' is \[1\], but string\? was expected"):
        initialise(document, found, 5)


def test_overrides_and_what_is_not_input_are_taken_out(document: Document, tmp_path: Path) -> None:
    file = tmp_path / "job.yml"
    file.write_text(
        "n: 1\ncwl:requirements: [{class: ResourceRequirement, coresMin: 2}]\n$namespaces: {x: 'http://x/'}\n"
    )
    found = read(str(file), document.snapshot.uri)
    assert [entry["requirements"] for entry in found.overrides] == [[{"class": "ResourceRequirement", "coresMin": 2}]]
    assert set(initialise(document, found, 5)) >= {"n"}
    assert found.where("n") == f"{file}:1"
    assert found.where("text") == str(file)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("n: many", ":1", "the input 'n' is \"many\", but int was expected"),
        ("\nn: null", "", ""),
        ("text: a\n\nn: [1]", ":3", "the input 'n' is [1], but int was expected"),
        ("text: {a: 1}", ":1", "the input 'text' is {\"a\": 1}, but string? was expected"),
        ("many: 3", ":1", "the input 'many' is 3, but Any[]? was expected"),
        ("file: {class: File, path: lost}", ":1", "the input 'file' is the file "),
        ("file: {class: File, path: /etc}", ":1", "the input 'file' is /etc: a file was expected"),
        ("folder: {class: Directory, path: job.yml}", ":1", "a directory was expected, but this is a file"),
        ("many: [{class: File, path: lost}]", ":1", "which does not exist"),
        ("file: {class: File}", "", "a file in it has no path, location or contents"),
    ],
)
def test_a_misfit_names_the_line_what_was_expected_and_found(
    document: Document, tmp_path: Path, text: str, line: str, said: str
) -> None:
    if not said:
        assert job(document, tmp_path, text)["n"] == 3, "null takes the default"
        return
    with pytest.raises(InputError) as caught:
        job(document, tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/job.yml{line}: ")
    assert said in caught.value.message


def test_an_input_that_nobody_knows_is_mentioned(document: Document, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        job(document, tmp_path, "n: many\nnumber: 4")
    assert caught.value.hint == "the document has no input called number"


def test_a_long_value_is_cut(document: Document, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        job(document, tmp_path, f"n: {'x' * 500}")
    assert len(caught.value.message) < 150


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "", "a: [1\n", "\ta: 1\n", "{'a': 1, 'a': 2}\n"])
def test_a_job_file_is_a_mapping(document: Document, tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as caught:
        job(document, tmp_path, text)
    assert str(tmp_path / "job.yml") in str(caught.value)


@given(st.text())
def test_no_text_makes_anything_but_inputs_or_an_input_error(document: Document, text: str) -> None:
    """Whatever stands in a job file, the user gets one of our errors."""
    stdin = io.StringIO(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        try:
            found = read("-", document.snapshot.uri)
            initialise(document, found, 5)
        except InputError:
            pass


@given(
    st.dictionaries(
        st.sampled_from(["n", "text", "file", "many", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["class", "path", "a"]), inner, max_size=2)
            ),
            max_leaves=5,
        ),
    )
)
def test_no_value_makes_anything_but_inputs_or_an_input_error(document: Document, values: dict[str, Any]) -> None:
    """Whatever Python hands over, the caller gets one of our errors."""
    try:
        initialise(document, from_mapping(values, document.snapshot.uri, "/nowhere"), 5)
    except InputError:
        pass


@given(st.text())
def test_no_text_makes_anything_but_a_document_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands in a document, the user gets one of our errors."""
    path = tmp_path_factory.getbasetemp() / "any.cwl"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DocumentError):
        load(str(path))


def test_an_empty_job(document: Document) -> None:
    assert initialise(document, Job({}, "/", "nothing"), 5)["n"] == 3
