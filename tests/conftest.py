"""Real services, one of each for the whole session, started by the first test that asks.

A test asks by a fixture (``redis_url``) or, if it needs no address, by a mark (``needs("redis")``).
"""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator

import pytest

from tests.services import docker_engine as engine
from tests.services import docker_images as images
from tests.services import postgresql_server, rabbitmq_server, redis_server
from tests.services.require import require

_FIXTURES = {
    "redis": "redis_url",
    "rabbitmq": "rabbitmq_url",
    "postgresql": "postgresql_url",
    "docker": "docker_engine",
}


#: Seconds that Python's exit may take: it waits for threads and processes that tests left.
EXIT = 120


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Have an exit that does not come say where it waits, and fail."""
    faulthandler.dump_traceback_later(EXIT, exit=True, file=sys.__stderr__)


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Give a test marked ``needs("redis", …)`` those services."""
    for mark in request.node.iter_markers("needs"):
        for service in mark.args:
            request.getfixturevalue(_FIXTURES[service])


def _require(reason: str) -> None:
    require(reason, available=not reason)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A private Redis."""
    _require(redis_server.missing())
    with redis_server.redis_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """A private RabbitMQ."""
    _require(rabbitmq_server.missing())
    with rabbitmq_server.rabbitmq_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A private PostgreSQL."""
    _require(postgresql_server.missing())
    with postgresql_server.postgresql_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[str]:
    """The base URL of a Docker engine."""
    _require(engine.missing())
    with engine.docker_engine() as server:
        yield server.url


@pytest.fixture(scope="session")
def docker_images(docker_engine: str) -> Iterator[dict[str, str]]:
    """The ids of small images by name: ``alpine``."""
    _require(images.missing(docker_engine))
    with images.docker_images(docker_engine) as ids:
        yield ids
