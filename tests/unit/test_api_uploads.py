"""Attachments go where their names say, and nowhere else."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.api import uploads
from celeriac.api.uploads import Attachment
from celeriac.errors import InputError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("wf.cwl", "wf.cwl"),
        ("tools/sort.cwl", "tools/sort.cwl"),
        ("./a/./b", "a/b"),
        ("...", "..."),
        ("..a", "..a"),
        ("ä ö.txt", "ä ö.txt"),
        ("x" * 255, "x" * 255),
    ],
)
def test_names_may_have_folders(given: str, expected: str) -> None:
    assert uploads.clean(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        None, "", ".", "./", "/", "/etc/passwd", "..", "../x", "a/..", "a/../../x", "a//b", "a/", "~/x", "~root/.ssh",
        "a\\..\\x", "C:\\x", "a\0b", "a\nb", "a\rb", "\x1b[2J", "a\u202eb", "x" * 256, "/".join(["x"] * 600), "ä" * 128,
        "\ud800",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(given: str | None) -> None:
    with pytest.raises(InputError):
        uploads.clean(given)


@given(st.text(alphabet=st.sampled_from("a./\\~ \0\n-"), max_size=12))
def test_whatever_passes_stays_inside(text: str) -> None:
    try:
        name = uploads.clean(text)
    except InputError:
        return
    path = os.path.normpath(f"/root/{name}")
    assert path == f"/root/{name}" and uploads.clean(name) == name


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"], ["a/b/c", "x", "a"]])
def test_names_that_are_in_each_others_way(names: list[str]) -> None:
    with pytest.raises(InputError):
        uploads.distinct(names)
    uploads.distinct(["a", "b/a", "b/c", "aa"])


def attachment(name: str, body: bytes = b"x") -> Attachment:
    return Attachment(name, io.BytesIO(body))


def test_they_are_written_into_a_new_directory(tmp_path: Path) -> None:
    place = tmp_path / "run" / "uploads"
    uploads.store([attachment("wf.cwl", b"1"), attachment("a/b.txt", b"2")], place)
    assert {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()} == {
        "wf.cwl": b"1",
        "a/b.txt": b"2",
    }
    with pytest.raises(FileExistsError):
        uploads.store([], place)
    uploads.remove(place)
    assert not place.parent.exists()


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "run" / "uploads"
    with pytest.raises(OSError):
        uploads.store([attachment("a"), attachment("a")], place)
    assert list(tmp_path.iterdir()) == []


def test_what_else_a_run_has_stays(tmp_path: Path) -> None:
    place = tmp_path / "run" / "uploads"
    uploads.store([attachment("a")], place)
    (place.parent / "other").touch()
    uploads.remove(place)
    assert [path.name for path in place.parent.iterdir()] == ["other"]
