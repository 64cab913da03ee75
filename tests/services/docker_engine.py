"""The Docker engine of this machine, or a dockerd of our own where none runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager

import docker
from docker.errors import DockerException

from tests.services import Server
from tests.services.process import private_directory, running

_DEFAULT = "unix:///var/run/docker.sock"


def missing() -> str:
    """Say why there is no engine to use and none to start; empty if there is."""
    silence = _silence(_url())
    if not silence:
        return ""
    if "DOCKER_HOST" in os.environ:
        return f"no Docker engine answers at DOCKER_HOST: {silence}"
    if os.geteuid() != 0:
        return f"no Docker engine answers, and only root can start one: {silence}"
    return "" if shutil.which("dockerd") else "no Docker engine answers, and dockerd is not on the PATH"


@contextmanager
def docker_engine() -> Iterator[Server]:
    """Yield the running engine, else one of our own at the default socket.

    Ours keeps to dockerd's defaults, the place of its pid file among them: that is what makes a
    second engine refuse to start, where it would tear down the first one's network.
    """
    url = _url()
    if not _silence(url):
        yield Server(url, None)
        return
    with private_directory() as directory:
        log = directory / "dockerd.log"
        with running(["dockerd"], ready=lambda: not _silence(url), log=log) as process:
            yield Server(url, process.pid)


def _url() -> str:
    return os.environ.get("DOCKER_HOST", _DEFAULT)


def _silence(url: str) -> str:
    """Say what keeps the engine from answering; empty if it answers."""
    try:
        with closing(docker.DockerClient(base_url=url, timeout=10)) as client:
            client.ping()
    except DockerException as error:
        return str(error)
    return ""
