"""A file is read once as long as it stays as it is, and never taken for what it was."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.job import digests
from celeriac.job.digests import LARGE, Digests


class Kept(dict[tuple[str, str], str]):
    """A store that tells what was asked of it."""

    def get(self, path: str, stamp: str) -> str | None:  # type: ignore[override]
        return super().get((path, stamp))

    def put(self, path: str, stamp: str, digest: str) -> None:
        self[path, stamp] = digest


def sha1(content: bytes) -> str:
    return "sha1$" + hashlib.sha1(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for old at once."""
    monkeypatch.setattr(digests, "SETTLED", -1.0)


@pytest.mark.usefixtures("settled")
def test_a_large_file_is_read_once_by_all_processes(tmp_path: Path) -> None:
    path, store = tmp_path / "large", Kept()
    path.write_bytes(b"x" * (LARGE + 1))
    assert Digests(store).of(str(path)) == sha1(b"x" * (LARGE + 1))
    assert len(store) == 1
    store[next(iter(store))] = "sha1$kept"
    assert Digests(store).of(str(path)) == "sha1$kept"


@pytest.mark.usefixtures("settled")
def test_a_small_file_is_kept_in_the_process_only(tmp_path: Path) -> None:
    path, store = tmp_path / "small", Kept()
    path.write_bytes(b"x" * LARGE)
    Digests(store).of(str(path))
    assert not store


@given(old=st.binary(max_size=8), new=st.binary(max_size=8))
def test_another_content_is_seen_under_the_same_name_and_times(old: bytes, new: bytes) -> None:
    with tempfile.TemporaryDirectory() as where:
        known, path = Digests(), Path(where, "file")
        path.write_bytes(old)
        assert known.of(str(path)) == sha1(old)
        before = path.stat()
        path.write_bytes(new)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert known.of(str(path)) == sha1(new)


def test_what_a_process_remembers_is_bounded(tmp_path: Path, settled: None) -> None:
    known = Digests(size=3)
    for number in range(5):
        path = tmp_path / str(number)
        path.write_text(str(number))
        assert known.of(str(path)) == sha1(str(number).encode())
    assert len(known._known) == 3


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "absent", "."):
        with pytest.raises(OSError):
            Digests().of(str(tmp_path / name))


def test_a_file_that_changes_while_it_is_read_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    really = hashlib.file_digest

    def slow(file: Any, digest: Any) -> Any:
        found = really(file, digest)
        path.write_text("another")
        return found

    monkeypatch.setattr(hashlib, "file_digest", slow)
    with pytest.raises(OSError, match="changed while it was read"):
        Digests().of(str(path))
