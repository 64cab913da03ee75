"""The contract of every runner, kept by containers of a real engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from celeriac.container.base import ContainerSpec, Image, Runner
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
