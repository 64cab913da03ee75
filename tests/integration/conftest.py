"""What several tests of containers need: a client of the real engine, and a step whose items share a container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.integration.sharing import Start, Step, sharing, starting


@pytest.fixture
def engine(docker_engine: str) -> Iterator[docker.APIClient]:
    with closing(docker.APIClient(base_url=docker_engine)) as client:
        yield client


@pytest.fixture
def step(docker_engine: str, docker_images: dict[str, str], engine: docker.APIClient, tmp_path: Path) -> Iterator[Step]:
    with sharing(docker_engine, engine, tmp_path) as made:
        yield made


@pytest.fixture
def start(step: Step) -> Iterator[Start]:
    with starting(step) as made:
        yield made
