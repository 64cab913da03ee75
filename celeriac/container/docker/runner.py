"""The face: a :class:`~celeriac.container.base.Runner` that costs nothing until it is used."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.container.base import CancelToken, Command, ExitReport, Image
from celeriac.container.docker.options import DockerOptions, may_answer
from celeriac.failpoints import Reach, nothing

if TYPE_CHECKING:  # it imports the SDK, which takes a tenth of a second
    from celeriac.container.docker.attempt import Host


class DockerRunner:
    """Runs tools in containers of a Docker engine (20.10 and up), or of Podman's compatible socket.

    ``base_url`` is such as ``unix:///run/podman/podman.sock`` or ``tcp://host:2375`` (None: the Docker
    socket of this host). ``lock_directory`` is shared by the processes that must not fetch one image
    at the same time. ``stop_grace`` is the seconds between SIGTERM and SIGKILL, ``patience`` the
    seconds for which a lost engine is waited for. Safe to use from many threads, and after a fork.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        lock_directory: Path | None = None,
        stop_grace: float = 2.0,
        patience: float = 60.0,
        reach: Reach = nothing,
    ) -> None:
        self._options = DockerOptions(base_url, lock_directory, stop_grace, patience, reach)
        self._lock = threading.Lock()
        self._opened: tuple[int, Host] | None = None

    def prepare(self, image: Image, *, allow_pull: bool, force_pull: bool, cancel: CancelToken) -> str:
        """Make the image available, return its id; see :meth:`celeriac.container.base.Runner.prepare`.

        The engine is asked once for each image; ``force_pull`` fetches once in a runner's life.
        """
        if cancel.cancelled:
            raise cancel.error(image.name)
        images = self._host().images
        return images.identify(image, allow_pull=allow_pull, force_pull=force_pull, cancel=cancel)

    def run(self, command: Command, cancel: CancelToken) -> ExitReport:
        """Run to the end and leave nothing behind; see :meth:`celeriac.container.base.Runner.run`.

        Raises :class:`~celeriac.errors.NameTaken` if a container of that name is alive.
        """
        if cancel.cancelled:
            raise cancel.error(command.name)
        return self._host().run(command, cancel)

    def clear(self, name: str) -> bool:
        """End what is left of the command ``name``; see :meth:`celeriac.container.base.Runner.clear`."""
        return self._host().clear(name)

    def attempts(self, host: str) -> frozenset[str]:
        """Return who has containers; see :meth:`celeriac.container.base.Runner.attempts`."""
        if not may_answer(self._options.url):
            return frozenset()
        from celeriac.container.docker.listing import attempts

        return attempts(self._host().connection, host)

    def close(self) -> None:
        """Let go of connections; the runner can be used again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened and opened[0] == os.getpid():
            opened[1].close()

    def _host(self) -> Host:
        """Return this process's own connections: a forked child must not use its parent's."""
        from celeriac.container.docker.attempt import Host

        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), Host(self._options))
            return self._opened[1]
