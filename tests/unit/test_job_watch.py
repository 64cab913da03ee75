"""Copies and checksums that are cancelled end between two pieces and leave nothing behind."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from cwltool.process import compute_checksums

from celeriac.errors import Cancelled
from celeriac.job.publish import publish
from celeriac.job.watch import PIECE, WatchedAccess, copy


class Check:
    """Raises when it is called the ``last``-th time."""

    def __init__(self, last: float = float("inf")) -> None:
        self.calls = 0
        self._last = last

    def __call__(self) -> None:
        self.calls += 1
        if self.calls >= self._last:
            raise Cancelled("no longer wanted")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of several pieces."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1000) * (PIECE // 250))
    os.utime(path, (1, 2))
    path.chmod(0o640)
    return path


def test_a_copy_is_whole_with_times_and_mode(tmp_path: Path, large: Path) -> None:
    check, target = Check(), tmp_path / "copy"
    copy(str(large), str(target), check)
    assert target.read_bytes() == large.read_bytes()
    assert (target.stat().st_mtime, target.stat().st_mode) == (2, large.stat().st_mode)
    assert check.calls > 2


def test_a_copy_that_is_cancelled_ends(tmp_path: Path, large: Path) -> None:
    with pytest.raises(Cancelled):
        copy(str(large), str(tmp_path / "copy"), Check(2))
    assert (tmp_path / "copy").stat().st_size < large.stat().st_size


def test_checksums_are_right_and_can_be_cancelled(large: Path) -> None:
    file: Any = {"class": "File", "location": f"file://{large}"}
    compute_checksums(WatchedAccess("", Check()), file)
    assert file["checksum"] == "sha1$" + hashlib.sha1(large.read_bytes(), usedforsecurity=False).hexdigest()
    with pytest.raises(Cancelled):
        compute_checksums(WatchedAccess("", Check(3)), {"class": "File", "location": f"file://{large}"})


@pytest.mark.parametrize("last", [1, 2, 3])
def test_publishing_that_is_cancelled_leaves_nothing(tmp_path: Path, large: Path, last: int) -> None:
    outputs = {"o": {"class": "File", "location": f"file://{large}", "basename": "large"}}
    with pytest.raises(Cancelled):
        publish(outputs, tmp_path / "outdir", tmp_path / "elsewhere", "run", checksums=True, check=Check(last))
    assert not list((tmp_path / "outdir").iterdir())
