"""A document's inputs as flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from celeriac.document.document import Document
from celeriac.document.flags import parse
from celeriac.document.load import load
from celeriac.errors import InputError, UsageError

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
doc: Shows [all] kinds of flags, 100% of them.
baseCommand: 'true'
inputs:
  text: {type: string, doc: "what to say, [loud] or 5%"}
  file: {type: File?}
  folder: {type: Directory?}
  n: {type: int, default: 3}
  many-names: {type: "string[]?"}
  numbers: {type: "int[]", default: [1, 2]}
  files: {type: "File[]?"}
  yes: {type: boolean?}
  help: {type: boolean?}
  color: {type: ["null", {type: enum, name: C, symbols: [red, blue]}]}
  record:
    type:
      - "null"
      - type: record
        name: R
        fields: {x: int, file: File?, deep: {type: {type: record, name: D, fields: {y: string?}}}}
  union: {type: ["null", int, string]}
outputs: []
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    path: Path = tmp_path_factory.mktemp("flags") / "tool.cwl"
    path.write_text(TOOL)
    return load(str(path))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("", {}),
        ("-n 7", {"n": 7}),
        ("--yes", {"yes": True}),
        ("--help", {"help": True}),
        ("--color red", {"color": "red"}),
        ("--many-names a --many-names b", {"many-names": ["a", "b"]}),
        ("--numbers 5", {"numbers": [5]}),
        ("--file data/a.txt", {"file": {"class": "File", "location": "file:///base/data/a.txt"}}),
        ("--file /etc/hosts", {"file": {"class": "File", "location": "file:///etc/hosts"}}),
        ("--file a#1%.txt", {"file": {"class": "File", "location": "file:///base/a%231%25.txt"}}),
        ("--file http://host/a#b", {"file": {"class": "File", "location": "http://host/a#b"}}),
        ("--folder .", {"folder": {"class": "Directory", "location": "file:///base/."}}),
        ("--files a --files b", {"files": [{"class": "File", "location": f"file:///base/{name}"} for name in "ab"]}),
        ("--record.x 1", {"record": {"x": 1}}),
        (
            "--record.file a --record.deep.y z",
            {"record": {"file": {"class": "File", "location": "file:///base/a"}, "deep": {"y": "z"}}},
        ),
    ],
)
def test_flags_become_inputs(document: Document, words: str, values: dict[str, Any]) -> None:
    job = parse(document, ["--text", "hi there", *words.split()], "tool.cwl", "/base")
    assert job.values == {"text": "hi there", **values}
    assert job.basedir == "/base"


def test_the_defaults_of_the_document_stay_as_they_are(document: Document) -> None:
    for _ in range(2):
        parse(document, ["--text", "a", "--numbers", "9"], "tool.cwl", None)
    (port,) = (port for port in document.process.tool["inputs"] if port["id"].endswith("#numbers"))
    assert port["default"] == [1, 2]


def test_paths_start_at_the_working_directory(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = parse(document, ["--text", "a", "--file", "b c"], "tool.cwl", None)
    assert job.values["file"]["location"] == f"{tmp_path.as_uri()}/b%20c"
    assert job.basedir == str(tmp_path)


def test_flags_win_over_a_job_file(document: Document, tmp_path: Path) -> None:
    file = tmp_path / "job.yml"
    file.write_text("{text: from the file, n: 1}\n")
    job = parse(document, [str(file), "-n", "2"], "tool.cwl", None)
    assert job.values == {"text": "from the file", "n": 2}
    assert (job.name, job.basedir) == (str(file), str(tmp_path))
    with pytest.raises(InputError, match="nowhere.yml was not found"):
        parse(document, ["nowhere.yml", "-n", "2"], "tool.cwl", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "tool.cwl needs --text, or a job file"),
        ("--text", "argument --text: expected one argument"),
        ("--text a -n many", "argument -n: invalid int value: 'many'"),
        ("--text a --numbers x", "argument --numbers: invalid int value: 'x'"),
        ("--tex a", "tool.cwl has no input for --tex"),
        ("--text a --union 1", "tool.cwl has no input for --union"),
        ("--text a job.yml other.yml", "tool.cwl has no input for other.yml"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(document: Document, words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse(document, words.split(), "tool.cwl", None)
    assert "`celeriac run tool.cwl --help`" in caught.value.hint


def test_a_required_input_without_flag_asks_for_a_job_file(tmp_path: Path) -> None:
    path = tmp_path / "tool.cwl"
    path.write_text(TOOL.replace('["null", int, string]', "[int, string]"))
    with pytest.raises(UsageError, match="tool.cwl needs union, of a type that no flag can give") as caught:
        parse(load(str(path)), ["--text", "a"], "tool.cwl", None)
    assert "job file" in caught.value.hint


def test_help_shows_the_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tool.cwl"
    path.write_text(TOOL.replace("  help: {type: boolean?}\n", ""))
    with pytest.raises(SystemExit) as caught:
        parse(load(str(path)), ["--help"], "tool.cwl", None)
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "Shows [all] kinds of flags, 100% of them." in said
    assert "what to say, [loud] or 5%" in said
    assert "--record.deep.y" in said
    assert "preview" not in said


def test_no_inputs_at_all(tmp_path: Path) -> None:
    path = tmp_path / "tool.cwl"
    path.write_text("{cwlVersion: v1.2, class: CommandLineTool, baseCommand: 'true', inputs: [], outputs: []}")
    assert parse(load(str(path)), [], "tool.cwl", None).values == {}
