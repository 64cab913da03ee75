"""docker-compose.yml says what a Celeriac on one machine consists of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.services.require import require

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SETTINGS = {
    "CELERIAC_HOME",
    "CELERIAC_BROKER_URL",
    "CELERIAC_RESULT_URL",
    "CELERIAC_JOURNAL_URL",
    "CELERIAC_QUEUES",
    "CELERIAC_SLOTS_DIR",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    return parsed


def test_there_is_a_worker_for_every_queue(services: dict[str, Any]) -> None:
    queues = yaml.safe_load((ROOT / "queues.yaml").read_text("utf-8"))
    workers = {name.removeprefix("worker-"): worker for name, worker in services.items() if "worker-" in name}
    assert set(workers) == set(queues)
    for queue, worker in workers.items():
        assert f"celery worker -Q {queue} " in worker["command"]


def test_every_service_is_watched(services: dict[str, Any]) -> None:
    assert {"redis", "postgresql", "flower"} < set(services)
    assert all(service["healthcheck"]["test"] for service in services.values())


@pytest.mark.parametrize("worker", ["worker-default", "worker-advanced"])
def test_a_worker_sees_the_engine_and_the_work_directory_at_its_own_path(services: dict[str, Any], worker: str) -> None:
    environment, volumes = services[worker]["environment"], services[worker]["volumes"]
    assert set(environment) == SETTINGS
    assert f"{environment['CELERIAC_HOME']}:{environment['CELERIAC_HOME']}" in volumes
    assert "/var/run/docker.sock:/var/run/docker.sock" in volumes
    assert environment["CELERIAC_SLOTS_DIR"].startswith(environment["CELERIAC_HOME"]), "one ledger for all of the host"


def test_nothing_is_open_to_the_network(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:5555:5555", "127.0.0.1:8080:8080"]


def test_compose_itself_accepts_it() -> None:
    command = _compose()
    require("neither `docker compose` nor `docker-compose` is on this machine", bool(command))
    argv = [*command, "--file", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def _compose() -> list[str]:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=60)
        if asked.returncode == 0:
            return ["docker", "compose"]
    return []
