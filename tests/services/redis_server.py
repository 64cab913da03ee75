"""A private redis-server; it keeps nothing on disk unless it is asked to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.services import Server
from tests.services.process import free_port, private_directory, running


def missing() -> str:
    """Say why no Redis can be started here; empty if one can."""
    return "" if shutil.which("redis-server") else "redis-server is not on the PATH"


@contextmanager
def redis_server() -> Iterator[Server]:
    """Yield a fresh Redis on a free loopback port."""
    with private_directory() as directory, serving(directory, free_port()) as server:
        yield server


@contextmanager
def serving(directory: Path, port: int, *, keeps: bool = False, also: str = "") -> Iterator[Server]:
    """Yield a Redis on a loopback port; with ``keeps`` each change is in the directory before it is answered.

    ``also`` is another address of this host at which it listens, to everybody who comes by it.

    A port and not a unix socket, because kombu, Celery's result backend and redis-py spell a
    socket's URL each in its own way, and ``redis://`` alike.
    """
    url = f"redis://127.0.0.1:{port}/0"

    def ready() -> bool:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())

    addresses = ["127.0.0.1", also, "--protected-mode", "no"] if also else ["127.0.0.1"]
    argv = ["redis-server", "--bind", *addresses, "--port", str(port), "--dir", str(directory), "--save", ""]
    argv += ["--appendonly", "yes", "--appendfsync", "always"] if keeps else ["--appendonly", "no"]
    log = directory / "redis.log"
    with running(argv, ready=ready, not_yet=redis.ConnectionError, log=log) as process:
        yield Server(url, process.pid)
