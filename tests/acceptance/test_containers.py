"""Tools in containers by the real command: what they give, and what each fatal case is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

CELERIAC = Path(sys.executable).parent / "celeriac"
#: Seconds after which a command is taken for stuck.
HANG = 120

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: %(image)s}
  ShellCommandRequirement: {}
  %(more)s
inputs: {file: 'File?'}
arguments: [{shellQuote: false, valueFrom: %(script)s}]
outputs: {out: stdout}
stdout: out.txt
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, docker_engine: str, docker_images: dict[str, str]) -> Run:
    def run(
        script: str, *options: str, image: str = "alpine", more: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        document = TOOL % {"image": image, "more": more, "script": json.dumps(script)}
        (tmp_path / "tool.cwl").write_text(document)
        environment = {**os.environ, "CELERIAC_HOME": str(tmp_path / "home"), "DOCKER_HOST": docker_engine, **env}
        command = [str(CELERIAC), "run", "--quiet", "--outdir", "out", *options, "tool.cwl"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANG, check=False
        )

    return run


@pytest.fixture
def left(docker_engine: str) -> Callable[[], list[str]]:
    """Return the labelled containers that are there."""
    client = docker.APIClient(base_url=docker_engine)
    before = {found["Id"] for found in client.containers(all=True, filters={"label": "celeriac.run"})}

    def left() -> list[str]:
        now = client.containers(all=True, filters={"label": "celeriac.run"})
        return [found["Id"] for found in now if found["Id"] not in before]

    return left


def test_a_tool_gives_its_output_and_leaves_no_container(
    run: Run, left: Callable[[], list[str]], tmp_path: Path
) -> None:
    done = run("echo hello; id -u; ls /sys/class/net; touch /nowhere 2>/dev/null || echo read-only")
    assert done.returncode == 0, done.stderr
    path = json.loads(done.stdout)["out"]["path"]
    assert path == str(tmp_path / "out" / "out.txt")
    assert Path(path).read_text().split() == ["hello", str(os.getuid()), "lo", "read-only"]
    assert left() == []


@pytest.mark.parametrize(
    "script, setting, words",
    [
        ("sleep 300", {"more": "ToolTimeLimit: {timelimit: 1}"}, ["time limit"]),
        ("true", {"image": "celeriac.invalid/no-such-image:1"}, ["celeriac.invalid/no-such-image:1"]),
        ("true", {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, ["/nowhere/docker.sock", "does not answer"]),
        ("exit 7", {}, ["exit code 7"]),
        ("no-such-program", {}, ["exit code 127", "not found"]),
    ],
    ids=["time limit", "no image", "no engine", "exit code", "no program"],
)
def test_what_goes_wrong_has_its_name(
    run: Run, left: Callable[[], list[str]], tmp_path: Path, script: str, setting: dict[str, str], words: list[str]
) -> None:
    done = run(script, "--disable-pull", **setting)
    assert done.returncode == 1
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True
    assert left() == []


def test_more_memory_than_asked_for_is_named(run: Run, left: Callable[[], list[str]]) -> None:
    more = "ResourceRequirement: {ramMin: 32, ramMax: 32}"
    done = run("head -c 200m /dev/zero | tail -c 199m > /dev/null", "--strict-memory-limit", more=more)
    assert done.returncode == 1
    assert "memory" in done.stderr, done.stderr
    assert left() == []


def test_a_link_out_of_the_container_reads_nothing_of_the_host(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    done = run(f"ln -s {secret} link; cat link; echo done")
    assert "of the host" not in done.stdout + (tmp_path / "out" / "out.txt").read_text()
