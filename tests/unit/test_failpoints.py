"""A failpoint ends the process that takes its file, once a file."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from celeriac.failpoints import failpoints, nothing

PROGRAM = "import sys; from celeriac.failpoints import failpoints; failpoints(sys.argv[1])(sys.argv[2])"


def end_of(directory: Path, point: str) -> int:
    """Return how a process ends that reaches a point."""
    return subprocess.run([sys.executable, "-c", PROGRAM, str(directory), point], check=False, timeout=60).returncode


def test_without_a_directory_every_point_is_passed() -> None:
    assert failpoints("") is nothing


@pytest.mark.parametrize("name", ["claim.after", "claim.after.1"])
def test_each_file_is_one_death(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert end_of(tmp_path, "claim.before") == 0
    assert end_of(tmp_path, "claim.after") == -signal.SIGKILL
    assert end_of(tmp_path, "claim.after") == 0
