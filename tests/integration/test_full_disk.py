"""A real file system that is too small: what Celeriac can't write there is never called the tool's failure."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import Desk, desk

LOUD = """\
cwlVersion: v1.2
class: CommandLineTool
requirements: {DockerRequirement: {dockerPull: IMAGE}}
baseCommand: [sh, -c, 'head -c 8000000 /dev/zero; sleep 60']
inputs: {}
outputs: {}
"""

COPIES = """\
cwlVersion: v1.2
class: CommandLineTool
requirements:
  InitialWorkDirRequirement: {listing: [{entry: $(inputs.big), writable: true}]}
baseCommand: "true"
inputs: {big: File}
outputs: {}
"""

QUIET = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: "true"
inputs: {}
outputs: {}
"""

RESULT = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'head -c 8000000 /dev/zero']
inputs: {}
outputs: {out: stdout}
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    done = subprocess.run(options, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        pytest.skip(f"only root can mount a small file system: {done.stderr.strip() if done else 'this is not root'}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    return desk(tmp_path / "desk", CELERIAC_DISK_RESERVE="0", CELERIAC_RETRY_DELAY="0")


def failed(here: Desk, small: Path, document: str, *inputs: str, **env: str) -> str:
    """Run a document whose work directories are on the small file system; return what it said."""
    (here.directory / "tool.cwl").write_text(document)
    return here("run", "--quiet", "--tmpdir-prefix", str(small), "tool.cwl", *inputs, code=1, **env).stderr


def attempts(here: Desk) -> list[tuple[str, str]]:
    return [(one["outcome"], one["error"]["type"]) for one in here.json("why", here.newest())["attempts"]]


def test_logs_without_room(
    here: Desk, small: Path, docker_engine: str, docker_images: dict[str, str]
) -> None:
    said = failed(here, small, LOUD.replace("IMAGE", "alpine"), DOCKER_HOST=docker_engine)
    assert "could not be written" in said and f"the file system {small} has no room left" in said
    assert set(attempts(here)) == {("infrastructure", "DiskFull")}


def test_inputs_without_room(here: Desk, small: Path) -> None:
    big = here.directory / "big"
    big.write_bytes(bytes(8_000_000))
    said = failed(here, small, COPIES, "--big", str(big))
    assert "the inputs of 'tool.cwl' can't be staged" in said and f"the file system {small}" in said
    assert set(attempts(here)) == {("infrastructure", "DiskFull")}


FILLS = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'head -c 8000000 /dev/zero > big || exit 5']
inputs: {}
outputs: {}
"""


def test_a_tool_without_room_says_nothing_about_the_tool(here: Desk, small: Path) -> None:
    """It may have failed for that alone: it is tried again, where there may be room then."""
    said = failed(here, small, FILLS)
    assert f"'tool.cwl' ended with exit code 5: the file system {small} has no room left" in said
    assert set(attempts(here)) == {("infrastructure", "DiskFull")}


def test_a_step_waits_for_room_and_then_says_so(here: Desk, small: Path) -> None:
    said = failed(here, small, QUIET, CELERIAC_DISK_RESERVE="100", CELERIAC_DISK_PATIENCE="0.1")
    assert f"'tool.cwl' was not started: the file system {small}" in said and "100 MiB were waited for" in said
    assert set(attempts(here)) == {("infrastructure", "DiskFull")}


def test_outputs_without_room(here: Desk, small: Path) -> None:
    (here.directory / "tool.cwl").write_text(RESULT)
    done = here("run", "--quiet", "--outdir", str(small / "out"), "tool.cwl", code=1)
    assert "the outputs can't be written to" in done.stderr and f"the file system {small}" in done.stderr
    assert done.stdout == "" and list((small / "out").iterdir()) == []
    assert json.loads(here("status", here.newest(), "--json").stdout)["counts"] == {"SUCCESS": 1}
