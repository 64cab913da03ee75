"""The contract of every runner, kept by containers of a real engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from celeriac.container.base import ContainerSpec, Image, Runner, Sharing
from celeriac.container.docker import DockerRunner
from tests.unit.test_container_contract import RunnerContract


class TestDocker(RunnerContract):
    @pytest.fixture
    def runner(self, docker_engine: str) -> Iterator[Runner]:
        runner = DockerRunner(docker_engine, stop_grace=0.5)
        yield runner
        runner.close()

    @pytest.fixture
    def spec(self, docker_engine: str, docker_images: dict[str, str]) -> Iterator[ContainerSpec]:
        label = f"test-{time.monotonic_ns()}"
        yield ContainerSpec(image=Image("alpine"), labels={"celeriac.run": label})
        with closing(docker.APIClient(base_url=docker_engine)) as client:
            assert not client.containers(all=True, filters={"label": f"celeriac.run={label}"})


class TestShared(TestDocker):
    """In containers that commands share."""

    @pytest.fixture
    def runner(self, docker_engine: str) -> Iterator[Runner]:
        runner = DockerRunner(docker_engine)
        yield runner
        runner.close()

    @pytest.fixture
    def spec(
        self, docker_engine: str, docker_images: dict[str, str], runner: Runner, tmp_path: Path
    ) -> Iterator[ContainerSpec]:
        label = f"test-{time.monotonic_ns()}"
        sharing = Sharing(label, own=(tmp_path,), directory=tmp_path, inputs="/var/lib/cwl")
        spec = ContainerSpec(image=Image("alpine"), user="0:0", labels={"celeriac.run": label})
        yield replace(spec, sharing=sharing)
        runner.close()
        with closing(docker.APIClient(base_url=docker_engine)) as client:
            assert not client.containers(all=True, filters={"label": f"celeriac.run={label}"})
        assert not list(tmp_path.glob("shared-*"))
