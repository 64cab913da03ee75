"""Whether outputs are still what they were when they were made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celeriac.job.digests import Digests
from celeriac.job.whole import broken, directory_parts


def a_file(path: Path, content: str = "x") -> dict[str, Any]:
    path.write_text(content)
    found = Digests().of(str(path))
    return {"class": "File", "location": path.as_uri(), "basename": path.name, "size": len(content), "checksum": found}


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, Any]:
    """Return outputs of all kinds."""
    inside = tmp_path / "directory" / "inside"
    inside.mkdir(parents=True)
    (inside / "file").write_text("x")
    listed = a_file(tmp_path / "directory" / "listed")
    del listed["checksum"]  # as a listing has it that was loaded
    where = (tmp_path / "directory").as_uri()
    return {
        "file": {**a_file(tmp_path / "a"), "secondaryFiles": [a_file(tmp_path / "b")]},
        "files": [None, a_file(tmp_path / "c")],
        "directory": {"class": "Directory", "location": where, "basename": "directory", "listing": [listed]},
        "literal": {"class": "File", "location": "_:some", "basename": "l", "contents": "x"},
        "number": 3,
        "record": {"in": {"it": a_file(tmp_path / "d")}},
    }


def test_what_nobody_touched_is_whole(outputs: dict[str, Any]) -> None:
    parts = directory_parts(outputs, Digests())
    assert list(parts) == ["output.directory"]
    assert broken(outputs, parts, Digests()) is None


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "is not there any more"),
        (lambda path: path.write_text("y"), "was changed"),
        (lambda path: path.write_text("xx"), "has 2 bytes where it had 1"),
        (lambda path: (path.unlink(), path.mkdir()), ""),
    ],
    ids=["deleted", "altered", "longer", "directory"],
)
def test_each_file_is_looked_at(
    tmp_path: Path, outputs: dict[str, Any], name: str, spoil: Callable[[Path], Any], said: str
) -> None:
    parts = directory_parts(outputs, Digests())
    spoil(tmp_path / name)
    assert str(broken(outputs, parts, Digests())).startswith(f"{tmp_path / name} {said}")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path / "inside" / "file").write_text("y"),
        lambda path: (path / "inside" / "more").write_text(""),
        lambda path: (path / "inside" / "file").unlink(),
        lambda path: (path / "listed").write_text("y"),
        lambda path: (path / "inside" / "empty").mkdir(),
    ],
    ids=["altered", "added", "deleted", "listed", "empty"],
)
def test_directories_are_looked_at_in_full(
    tmp_path: Path, outputs: dict[str, Any], spoil: Callable[[Path], Any]
) -> None:
    parts = directory_parts(outputs, Digests())
    spoil(tmp_path / "directory")
    problem = broken(outputs, parts, Digests())
    assert problem == f"what is in the output directory {tmp_path / 'directory'} was changed"


def test_a_directory_that_is_gone(tmp_path: Path, outputs: dict[str, Any]) -> None:
    parts = directory_parts(outputs, Digests())
    shutil.rmtree(tmp_path / "directory")
    assert broken(outputs, parts, Digests()) == f"{tmp_path / 'directory'} is not there any more"


def test_what_can_not_be_compared_is_not_whole(tmp_path: Path) -> None:
    file = a_file(tmp_path / "a")
    assert "no checksum" in str(broken({"out": {**file, "checksum": None}}, {}, Digests()))
    assert broken({"out": {**file, "location": "http://example.org/a"}}, {}, Digests())
    directory = {"class": "Directory", "location": tmp_path.as_uri(), "basename": "d"}
    assert broken({"out": directory}, {}, Digests())  # nobody wrote down what was in it
