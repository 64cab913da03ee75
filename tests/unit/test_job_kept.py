"""What may be removed: nothing that something points to, whatever links lie between."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from celeriac.job.kept import Fate, Kept, Pointer, pointers
from celeriac.job.removal import Freed, links, reached, removable, remove

NAMES = st.sampled_from(["a", "b", "a b", "a.txt", "ab"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def test_pointers_of_a_value() -> None:
    value = {
        "one": {
            "class": "File",
            "location": "file:///runs/a%20b/x.bam",
            "secondaryFiles": [{"class": "File", "path": "/runs/x.bai"}],
        },
        "many": [[{"class": "Directory", "path": "/runs/d", "listing": [{"class": "File", "path": "/runs/e"}]}]],
        "far": {"class": "File", "location": "https://example.org/x"},
        "literal": {"class": "File", "location": "_:1", "contents": "x"},
        "text": "/runs/no-file",
        "nothing": None,
    }  # fmt: skip
    assert list(pointers(value)) == [
        Pointer("/runs/a b/x.bam"), Pointer("/runs/x.bai"), Pointer("/runs/d", True), Pointer("/runs/e"),
    ]  # fmt: skip


@given(st.lists(PATHS, max_size=6), PATHS)
def test_the_fate_of_a_path(paths: list[str], path: str) -> None:
    fate = Kept(paths).fate(path)
    stays = any(path == kept or path.startswith(kept + "/") for kept in paths)
    partly = any(kept.startswith(path + "/") for kept in paths)
    assert fate is (Fate.STAYS if stays else Fate.PARTLY if partly else Fate.GOES)
    assert Kept(paths).count(path) == len({kept for kept in paths if kept.startswith(path + "/")})


@given(st.data())
def test_what_is_pointed_to_is_whole_after_a_removal(data: st.DataObject) -> None:
    """Any tree of files, directories and links; any of them pointed to: what could be read of it can be read still."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(os.path.realpath(name)) / "run"
        root.mkdir()
        made = [root]
        for number in range(data.draw(st.integers(1, 8))):
            above = data.draw(st.sampled_from([path for path in made if path.is_dir() and not path.is_symlink()]))
            path = above / f"{number}"
            kind = data.draw(st.sampled_from(["file", "directory", "link"]))
            if kind == "file":
                path.write_text(str(number))
            elif kind == "directory":
                path.mkdir()
            else:
                goal = data.draw(st.sampled_from(made))
                path.symlink_to(data.draw(st.sampled_from([str(goal), os.path.relpath(goal, above)])))
            made.append(path)
        wanted = [
            Pointer(str(path), path.is_dir()) for path in data.draw(st.lists(st.sampled_from(made), max_size=3))
        ]
        before = [_read(pointer.path) for pointer in wanted]
        kept = set()
        for pointer in wanted:
            kept.update(reached(pointer))
            for link in links(pointer.path) if pointer.directory else ():
                kept.update(reached(link))
        going = list(removable(str(root), Kept(kept)))
        assert not any(one != other and one.startswith(other + "/") for one in going for other in going)
        freed = Freed()
        for path in going:
            freed.add(path)
            remove(path)
        assert [_read(pointer.path) for pointer in wanted] == before
        if not wanted:
            assert not root.exists()


def _read(path: str) -> object:
    """Return all that can be read at a path, links followed as far as they lead to something new."""
    found: dict[str, str] = {}
    for place, folders, files in os.walk(path):
        found.update({os.path.join(place, name): "d" for name in folders if os.path.isdir(os.path.join(place, name))})
        for name in files:
            full = os.path.join(place, name)
            found[full] = Path(full).read_text() if os.path.isfile(full) else "broken"
    return Path(path).read_text() if os.path.isfile(path) else found


def test_a_file_with_a_name_elsewhere_frees_nothing(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    big, linked = tmp_path / "here" / "big", tmp_path / "here" / "linked"
    big.write_bytes(b"x" * 2**20)
    linked.write_bytes(b"x" * 2**20)
    os.link(linked, tmp_path / "published")
    freed = Freed()
    freed.add(str(tmp_path / "here"))
    assert freed.files == 2 and 2**20 <= freed.bytes < 2**20 + 2**16


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    (goal / "file").write_text("stays")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(goal)
    (path,) = removable(str(tmp_path / "run"), Kept())
    remove(path)
    assert (goal / "file").read_text() == "stays" and not (tmp_path / "run").exists()
