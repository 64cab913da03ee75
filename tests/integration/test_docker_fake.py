"""What no engine here can show: GPUs that are granted, and statistics of version 2 or of Podman."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
from celeriac.errors import ContainerError, KilledFromOutside, TimeLimitExceeded
from tests.integration.fake_engine import FakeEngine, serve

MIB = 2**20


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def runner(engine: FakeEngine) -> Iterator[DockerRunner]:
    with tempfile.TemporaryDirectory() as directory:  # a socket's path must be short
        server = serve(engine, Path(directory) / "s")
        with closing(DockerRunner(f"unix://{directory}/s", stop_grace=0.3)) as runner:
            yield runner
        server.shutdown()
        server.server_close()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(
        name="test",
        argv=("train",),
        env={},
        workdir="/tmp",
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        container=ContainerSpec(Image("tools")),
    )


def with_gpus(command: Command, *ids: str) -> Command:
    assert command.container
    return replace(command, container=replace(command.container, gpus=ids))


# --- GPUs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [("0",), ("1", "3"), ("GPU-8c1d-44", "MIG-7/1/0")])
def test_the_engine_is_asked_for_the_very_gpus(
    runner: DockerRunner, engine: FakeEngine, command: Command, ids: tuple[str, ...]
) -> None:
    assert runner.run(with_gpus(command, *ids), CancelToken()).exit_code == 0
    assert command.stdout.read_bytes() == b"done\n"
    (created,) = engine.created
    assert created["HostConfig"]["DeviceRequests"] == [
        {"Driver": "nvidia", "Count": 0, "DeviceIDs": list(ids), "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert engine.calls[-1] == "DELETE /container/"


def test_no_gpus_no_request(runner: DockerRunner, engine: FakeEngine, command: Command) -> None:
    runner.run(command, CancelToken())
    assert not engine.created[0]["HostConfig"].get("DeviceRequests")


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', "container toolkit"),
        (
            "OCI runtime create failed: error running hook #0: exit status 1, stderr: nvidia-container-cli: "
            "device error: 7: unknown device: unknown",
            "nvidia-smi -L",
        ),
    ],
    ids=["no driver", "no such device"],
)
def test_gpus_that_the_engine_has_not(
    runner: DockerRunner, engine: FakeEngine, command: Command, refusal: str, advice: str
) -> None:
    engine.refusal = refusal
    with pytest.raises(ContainerError, match="can't give GPU 7 to 'test'") as caught:
        runner.run(with_gpus(command, "7"), CancelToken())
    assert type(caught.value) is ContainerError, "an error of the engine's would be tried again"
    assert advice in caught.value.hint and "CELERIAC_HOST_GPUS" in caught.value.hint
    assert engine.calls.count("POST /container/start") == 1
    assert engine.calls[-1] == "DELETE /container/"


# --- usage -----------------------------------------------------------------------------------------

#: As Docker tells of version 1, of version 2, and Podman.
FIRST = {
    "usage": 300 * MIB,
    "max_usage": 310 * MIB,
    "stats": {
        "total_rss": 90 * MIB,
        "total_cache": 205 * MIB,
        "total_active_file": 100 * MIB,
        "total_inactive_file": 95 * MIB,
    },
}
SECOND = {"usage": 300 * MIB, "stats": {"anon": 90 * MIB, "shmem": 10 * MIB, "file": 205 * MIB}}
PODMAN = {"usage": 100 * MIB, "max_usage": 0, "limit": 512 * MIB}


@pytest.mark.parametrize(
    ("memory", "peak"),
    [(FIRST, 110 * MIB), (SECOND, 100 * MIB), (PODMAN, 100 * MIB)],
    ids=["version 1", "version 2", "Podman"],
)
def test_an_engine_whose_cgroups_are_not_here_is_asked(
    runner: DockerRunner, engine: FakeEngine, command: Command, memory: dict[str, Any], peak: int
) -> None:
    engine.seconds = 1.5
    engine.statistics = {"memory_stats": memory, "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}}}
    report = runner.run(replace(command, memory=512 * MIB), CancelToken())
    assert (report.peak_memory, report.cpu_seconds) == (peak, 2.5)
    assert engine.calls.count("GET /container/stats") == 1


def test_what_was_asked_is_told_of_a_tool_that_was_ended_too(
    runner: DockerRunner, engine: FakeEngine, command: Command
) -> None:
    engine.seconds, engine.exit_code = 1.5, 137
    engine.statistics = {"memory_stats": SECOND, "cpu_stats": {}}
    with pytest.raises(KilledFromOutside) as caught:
        runner.run(command, CancelToken())
    assert caught.value.fields["peak_memory"] == 100 * MIB
    assert caught.value.fields["exit_code"] == 137
    assert "cpu_seconds" not in caught.value.fields


@pytest.mark.parametrize("answer", [None, {}, {"memory_stats": {}, "cpu_stats": {}}], ids=["none", "empty", "ended"])
def test_an_engine_that_does_not_tell(
    runner: DockerRunner, engine: FakeEngine, command: Command, answer: dict[str, Any] | None
) -> None:
    engine.seconds, engine.statistics = 1.5, answer
    report = runner.run(command, CancelToken())
    assert (report.exit_code, report.peak_memory, report.cpu_seconds) == (0, None, None)


def test_a_short_tool_is_not_asked_about(runner: DockerRunner, engine: FakeEngine, command: Command) -> None:
    runner.run(command, CancelToken())
    assert "GET /container/stats" not in engine.calls


def test_a_real_engine_tells(
    docker_engine: str,
    docker_images: dict[str, str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("celeriac.container.docker.usage.find", lambda container, trees: {})
    script = "head -c 40000000 /dev/zero | tail -c 39999999 | sleep 2"
    command = replace(
        command,
        name=f"test-{tmp_path.name}-{id(command)}",
        argv=("sh", "-c", script),
        memory=128 * MIB,
        container=ContainerSpec(Image("alpine")),
    )
    with closing(DockerRunner(docker_engine, stop_grace=0.3)) as runner:
        report = runner.run(command, CancelToken())
        assert report.peak_memory is not None and 30_000_000 < report.peak_memory < 60 * MIB
        assert report.cpu_seconds is not None and report.cpu_seconds > 0
        with pytest.raises(TimeLimitExceeded) as caught:
            runner.run(replace(command, time_limit=1.5), CancelToken())
        assert caught.value.fields["peak_memory"] > 30_000_000
    with closing(docker.APIClient(base_url=docker_engine)) as client:
        assert not client.containers(all=True, filters={"name": command.name})
