"""A run's outputs in the user's directory: all of them or none, each under a name of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cwltool.pathmapper import PathMapper
from cwltool.process import stage_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.errors import DiskFull, StepFailed
from celeriac.job.publish import give_own_names, printable, publish, real_paths


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The run's own directory."""
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def outdir(tmp_path: Path) -> Path:
    return tmp_path / "results"


def a_file(path: Path, text: str = "text", **fields: Any) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"class": "File", "location": path.as_uri(), "basename": path.name, **fields}


def a_directory(path: Path, *names: str, **fields: Any) -> dict[str, Any]:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        a_file(path / name, name)
    return {"class": "Directory", "location": path.as_uri(), "basename": path.name, **fields}


def put(outputs: dict[str, Any], outdir: Path, scratch: Path) -> dict[str, Any]:
    return printable(publish(outputs, outdir, scratch, "run1", checksums=True))


def tree(directory: Path) -> dict[str, str]:
    """Return every file under a directory with its text."""
    found = (Path(top, name) for top, _, names in os.walk(directory) for name in names)
    return {str(path.relative_to(directory)): path.read_text() if path.is_file() else "?" for path in found}


def test_a_file_goes_to_the_directory_with_its_checksum(scratch: Path, outdir: Path) -> None:
    found = put({"o": a_file(scratch / "out" / "a.txt", "abc")}, outdir, scratch)
    assert tree(outdir) == {"a.txt": "abc"}
    digest = hashlib.sha1(b"abc").hexdigest()
    assert found["o"] == {
        "class": "File", "location": (outdir / "a.txt").as_uri(), "path": str(outdir / "a.txt"),
        "basename": "a.txt", "checksum": f"sha1${digest}", "size": 3,
    }  # fmt: skip


def test_what_is_no_file_is_left_alone_and_makes_no_directory(scratch: Path, outdir: Path) -> None:
    outputs = {"n": 1, "s": "x", "l": [1, None, {"a": True}], "null": None}
    assert put(outputs, outdir, scratch) == outputs
    assert not outdir.exists()


def test_the_run_s_own_files_are_linked_and_others_copied(scratch: Path, outdir: Path, tmp_path: Path) -> None:
    own, other = a_file(scratch / "a"), a_file(tmp_path / "input" / "b")
    put({"own": own, "other": other}, outdir, scratch)
    assert (outdir / "a").stat().st_ino == (scratch / "a").stat().st_ino
    assert (outdir / "b").stat().st_ino != (tmp_path / "input" / "b").stat().st_ino
    assert (tmp_path / "input" / "b").read_text() == "text", "an input stays where it is"


def test_equal_names_get_each_their_own(scratch: Path, outdir: Path) -> None:
    files = [a_file(scratch / str(n) / "same.txt", str(n)) for n in range(3)]
    found = put({"o": files}, outdir, scratch)
    names = [entry["basename"] for entry in found["o"]]
    assert len(set(names)) == 3 and names[0] == "same.txt"
    assert [(outdir / name).read_text() for name in names] == ["0", "1", "2"]
    assert [entry["path"] for entry in found["o"]] == [str(outdir / name) for name in names]


def test_one_file_in_two_outputs_is_there_once(scratch: Path, outdir: Path) -> None:
    file = a_file(scratch / "a.txt")
    found = put({"x": file, "y": [dict(file)]}, outdir, scratch)
    assert tree(outdir) == {"a.txt": "text"}
    assert found["x"]["location"] == found["y"][0]["location"]


def test_secondary_files_stand_beside_their_file(scratch: Path, outdir: Path) -> None:
    index = a_file(scratch / "a.bam.bai", "index")
    found = put({"o": a_file(scratch / "a.bam", secondaryFiles=[index])}, outdir, scratch)
    assert tree(outdir) == {"a.bam": "text", "a.bam.bai": "index"}
    assert found["o"]["secondaryFiles"][0]["path"] == str(outdir / "a.bam.bai")


def test_directories_with_what_is_in_them(scratch: Path, outdir: Path) -> None:
    directory = a_directory(scratch / "d", "a", "deep/b")
    (scratch / "d" / "empty").mkdir()
    found = put({"o": directory}, outdir, scratch)
    assert tree(outdir) == {"d/a": "a", "d/deep/b": "deep/b"}
    assert (outdir / "d" / "empty").is_dir()
    listing = {entry["basename"]: entry for entry in found["o"]["listing"]}
    assert listing["a"]["path"] == str(outdir / "d" / "a")
    assert listing["deep"]["listing"][0]["checksum"].startswith("sha1$")


def test_literals_are_written(scratch: Path, outdir: Path) -> None:
    file = {"class": "File", "basename": "lit.txt", "contents": "hello", "location": "_:f"}
    listing = [file, a_file(scratch / "real.txt")]
    outputs = {"o": {"class": "Directory", "basename": "made", "listing": listing, "location": "_:d"}}
    put(outputs, outdir, scratch)
    assert tree(outdir) == {"made/lit.txt": "hello", "made/real.txt": "text"}


def test_symbolic_links_become_what_they_point_to(scratch: Path, outdir: Path) -> None:
    a_file(scratch / "real.txt", "abc")
    a_file(scratch / "other.txt", "def")
    directory = a_directory(scratch / "d", "x")
    (scratch / "link.txt").symlink_to("real.txt")
    (scratch / "d" / "link").symlink_to("../other.txt")
    (scratch / "d" / "gone").symlink_to("nowhere")
    link = {"class": "File", "location": (scratch / "link.txt").as_uri(), "basename": "link.txt"}
    found = put({"link": link, "d": directory}, outdir, scratch)
    assert not any(path.is_symlink() for path in outdir.rglob("*"))
    files = tree(outdir)
    assert (files.pop("d/x"), files.pop("d/link")) == ("x", "def")
    assert files == {found["link"]["basename"]: "abc"}


def test_links_to_a_directory_above_are_left_out(scratch: Path, outdir: Path) -> None:
    directory = a_directory(scratch / "d", "x", "deep/y")
    for number in range(3):  # to follow them all would take for ever
        (scratch / "d" / f"l{number}").symlink_to(".")
        (scratch / "d" / "deep" / f"l{number}").symlink_to("..")
    put({"o": directory}, outdir, scratch)
    assert tree(outdir) == {"d/x": "x", "d/deep/y": "deep/y"}


def test_names_with_spaces_and_signs(scratch: Path, outdir: Path) -> None:
    name = "a b#c?d%20é*.txt"
    found = put({"o": a_file(scratch / name)}, outdir, scratch)
    assert tree(outdir) == {name: "text"}
    assert found["o"]["path"] == str(outdir / name)


def test_what_was_there_is_replaced_and_the_rest_stays(scratch: Path, outdir: Path) -> None:
    outdir.mkdir()
    for name in ("a.txt", "mine.txt"):
        (outdir / name).write_text("old")
    a_directory(outdir / "d", "old")
    (outdir / "link.txt").symlink_to("mine.txt")
    outputs = {
        "a": a_file(scratch / "a.txt", "new"),
        "l": a_file(scratch / "link.txt", "new"),
        "d": a_directory(scratch / "d", "x"),
    }
    put(outputs, outdir, scratch)
    assert tree(outdir) == {"a.txt": "new", "mine.txt": "old", "link.txt": "new", "d/old": "old", "d/x": "x"}
    assert not (outdir / "link.txt").is_symlink()


def test_twice_is_the_same_as_once(scratch: Path, outdir: Path) -> None:
    outputs = {"a": a_file(scratch / "a.txt"), "d": a_directory(scratch / "d", "x", "y")}
    first = put(outputs, outdir, scratch)
    assert put(outputs, outdir, scratch) == first
    assert tree(outdir) == {"a.txt": "text", "d/x": "x", "d/y": "y"}


@pytest.mark.parametrize("broken", ["copy2", "link"])
def test_a_copy_that_fails_leaves_nothing_of_the_others(
    scratch: Path, outdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    outdir.mkdir()
    (outdir / "a").write_text("old")
    outputs = {"a": a_file(scratch / "a", "new"), "b": a_file(tmp_path / "input" / "b")}

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    if broken == "link":
        monkeypatch.setattr(os, "link", full)
    said = f"can't be written to {outdir}: the file system .* has no room"
    with pytest.raises(DiskFull, match=said) as caught:
        publish(outputs, outdir, scratch, "run1", checksums=True)
    assert caught.value.hint
    assert sorted(os.listdir(outdir)) == ["a"]
    assert (outdir / "a").read_text() == "old"


def test_a_place_that_is_a_file_is_named(scratch: Path, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("mine")
    with pytest.raises(StepFailed, match="taken"):
        put({"o": a_file(scratch / "a")}, place, scratch)
    assert place.read_text() == "mine"


def test_what_an_interrupted_one_left_is_taken_away(scratch: Path, outdir: Path) -> None:
    a_file(outdir / ".celeriac-run1" / "half")
    put({"o": a_file(scratch / "a")}, outdir, scratch)
    assert tree(outdir) == {"a": "text"}


def test_a_file_never_takes_the_place_of_a_directory(scratch: Path, outdir: Path) -> None:
    a_file(outdir / "d" / "inner" / "mine.txt", "mine")
    outputs = {"a": a_file(scratch / "a"), "d": a_directory(scratch / "d", "inner")}
    with pytest.raises(StepFailed, match="d/inner is a file, but there is a directory"):
        put(outputs, outdir, scratch)
    assert tree(outdir) == {"d/inner/mine.txt": "mine"}, "nothing of the others either"


def test_pipes_are_left_out(scratch: Path, outdir: Path) -> None:
    directory = a_directory(scratch / "d", "x")
    os.mkfifo(scratch / "d" / "pipe")
    put({"o": directory}, outdir, scratch)
    assert tree(outdir) == {"d/x": "x"}


NAMES = st.sampled_from(["a", "a_2", "a_3", "b", "b_2"])


@given(st.lists(st.tuples(NAMES, st.integers(0, 3)), max_size=25))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_files_of_one_name_get_the_names_that_cwltool_gives(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, int]]
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    items = [a_file(scratch / str(number) / name) for name, number in found]
    ours, theirs = (PathMapper(items, "", str(scratch / "out"), separateDirs=False) for _ in range(2))
    give_own_names(ours)
    stage_files(theirs, stage_func=lambda source, target: None, symlink=False, fix_conflicts=True)
    assert dict(ours.items()) == dict(theirs.items())


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_paths_are_as_real_as_the_library_s(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    top = tmp_path_factory.mktemp("top")
    places = [top]
    for number in range(data.draw(st.integers(1, 6), label="entries")):
        place = data.draw(st.sampled_from(places), label="in") / str(number)
        if data.draw(st.booleans(), label="a link"):
            place.symlink_to(data.draw(st.sampled_from(places), label="to"))
        else:
            place.mkdir()
        places.append(place)
    real = real_paths()
    names = st.sampled_from([".", "..", *map(str, range(6))])
    for _ in range(8):
        words = data.draw(st.lists(names, max_size=3))
        path = os.path.join(data.draw(st.sampled_from(places)), *words)
        assert real(path) == os.path.realpath(path)
