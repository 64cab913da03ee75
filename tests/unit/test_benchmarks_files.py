"""Where the runs of a session have their files."""

from __future__ import annotations

import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from benchmarks import files

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "there"), [(files.ROOM, True), (files.ROOM - 1, False)])
def test_in_memory_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, there: bool
) -> None:
    monkeypatch.setattr(files, "MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free))
    assert files.usual() == (tmp_path if there else Path(tempfile.gettempdir()))


def test_on_disk_where_there_is_no_such_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MEMORY", tmp_path / "none")
    assert files.usual() == Path(tempfile.gettempdir())


def test_a_sessions_folder_goes_at_its_end(tmp_path: Path) -> None:
    with files.session(tmp_path) as folder:
        (folder / "run").mkdir()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_the_kind_of_file_system_is_named(tmp_path: Path) -> None:
    assert files.system(Path("/proc")) == "proc"
    assert files.system(tmp_path) not in ("proc", "unknown")
