"""A Docker engine of a test's own, beside that of the machine: ended, killed and halted, with its containers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from signal import Signals

import docker
from docker.errors import DockerException

from tests.faults.namespaces import Namespaces, missing, namespaces
from tests.faults.servers import Restartable
from tests.services import Server, docker_images
from tests.services.process import private_directory, running
from tests.services.require import require


@contextmanager
def engine(*, live_restore: bool = False) -> Iterator[Restartable]:
    """Yield a dockerd that has the tests' images. With ``live_restore`` its containers outlive it.

    It is in namespaces of its own, where it finds neither the bridge nor the rules and mounts of another one.
    """
    reason = missing() or ("" if shutil.which("dockerd") else "dockerd is not on the PATH")
    require(reason, available=not reason)
    with namespaces("net", "mnt") as apart, private_directory() as directory:
        made = Restartable(lambda: _serving(directory, apart, live_restore=live_restore))
        made.start()
        try:
            with docker_images.docker_images(made.url):
                try:
                    yield made
                finally:
                    made.send(Signals.SIGCONT)
                    if not made.runs:
                        made.start()
                    _empty(made.url)
        finally:
            made.stop()
            apart.clear()


@contextmanager
def _serving(directory: Path, apart: Namespaces, *, live_restore: bool) -> Iterator[Server]:
    url = f"unix://{directory}/docker.sock"
    argv = ["dockerd", "--host", url, "--iptables=false", "--pidfile", str(directory / "dockerd.pid")]
    argv += ["--data-root", str(directory / "data"), "--exec-root", str(directory / "exec")]
    argv += ["--live-restore"] if live_restore else []

    def ready() -> bool:
        with closing(docker.APIClient(base_url=url, timeout=10)) as client:
            return bool(client.ping())

    # its containerd dies with it; where init is slow to reap that, the next dockerd would take it for alive
    (directory / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
    log = directory / "dockerd.log"
    with running([*apart.words(), *argv], ready=ready, not_yet=DockerException, log=log) as process:
        yield Server(url, process.pid)


def _empty(url: str) -> None:
    """Remove all containers: they would outlive an engine with live-restore."""
    with closing(docker.DockerClient(base_url=url)) as client:
        for container in client.containers.list(all=True):
            with suppress(DockerException):
                container.remove(force=True)
