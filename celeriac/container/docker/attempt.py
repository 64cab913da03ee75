"""One container from create to removal."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import BinaryIO

from docker.errors import APIError

from celeriac.container.base import CancelToken, Command, ExitReport
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.fence import Fence
from celeriac.container.docker.follow import Follower
from celeriac.container.docker.images import Images
from celeriac.container.docker.layout import CantShare
from celeriac.container.docker.options import DockerOptions
from celeriac.container.docker.pool import Pool
from celeriac.container.docker.refusals import refused
from celeriac.container.docker.state import State
from celeriac.container.docker.streams import Streams
from celeriac.container.docker.usage import ContainerUsage
from celeriac.container.docker.verdict import KILLED, failure
from celeriac.container.ending import Ending
from celeriac.container.files import open_input, open_output
from celeriac.container.usage import telling
from celeriac.container.wakeup import Wakeup

log = logging.getLogger(__name__)

#: Seconds by which the engine's word of an out-of-memory kill may come after that of the exit.
OOM_LAG = 0.3


class Host:
    """One engine as one process sees it: its connection, its images, the containers it runs there."""

    def __init__(self, options: DockerOptions) -> None:
        self.connection = Connection(options)
        self.images = Images(self.connection, options.lock_directory)
        self._fence = Fence(self.connection, self.images)
        self._pool = Pool(self.connection, self.images, self._fence)

    def close(self) -> None:
        """Remove what nobody uses, let go of connections."""
        self._pool.close()
        self.connection.close()

    def run(self, command: Command, cancel: CancelToken) -> ExitReport:
        """Run a command to its end; see :class:`~celeriac.container.base.Runner`."""
        if command.container is None:
            raise ValueError(f"'{command.name}' has no container")
        with self._answering(command, command.container.image.name):
            if command.container.sharing is not None:
                try:
                    return self._pool.run(command, command.container, cancel)
                except CantShare as why:
                    log.debug("'%s' gets a container of its own: %s", command.name, why)
                command = replace(command, container=replace(command.container, sharing=None))
            return self._run_alone(command, cancel)

    def _run_alone(self, command: Command, cancel: CancelToken) -> ExitReport:
        assert command.container
        with ExitStack() as files:
            stdin = files.enter_context(open_input(command.stdin)) if command.stdin else None
            container = self._fence.create(command, command.container, cancel)
            try:
                # not before: a second attempt with this name must not empty the files of the first
                stdout, stderr = _outputs(command, files)
                return self._attend(container, command, cancel, (stdout, stderr, stdin))
            finally:
                self._fence.remove(container)

    def clear(self, name: str) -> bool:
        """Remove the container of the command ``name``; return whether there is none."""
        return self._fence.clear(name)

    @contextmanager
    def _answering(self, command: Command, image: str) -> Iterator[None]:
        with self.connection.answering():
            try:
                yield
            except APIError as error:
                raise refused(error, command, image) from error

    def _attend(
        self,
        container: str,
        command: Command,
        cancel: CancelToken,
        files: tuple[BinaryIO, BinaryIO, BinaryIO | None],
    ) -> ExitReport:
        options = self.connection.options
        stdout, stderr, stdin = files
        ending = Ending(command, cancel, options.stop_grace)
        with (
            Wakeup(cancel) as wakeup,
            closing(ContainerUsage(self.connection, container, command.memory)) as usage,
            telling(usage),
        ):
            follower = Follower(
                self.connection,
                container,
                command,
                lambda: Streams(self.connection, container, stdout, stderr, None),
                Streams(self.connection, container, stdout, stderr, stdin),
                ending,
                wakeup,
                usage,
            )
            try:
                options.reach("start.before")
                self.connection.client.start(container)
                options.reach("start.after")
                started = time.monotonic()
                ending.started(started)
                state = follower.until_end()
                seconds = time.monotonic() - started
            finally:
                follower.streams.close()
            image = command.container.image.name if command.container else ""
            state = self._settled(container, command, state, usage)
            error = failure(command, image, state, usage)
            if error is not None:
                raise error
            seconds = seconds if state.seconds is None else state.seconds
            return ExitReport(state.exit_code, seconds, usage.peak_memory, usage.cpu_seconds)

    def _settled(self, container: str, command: Command, state: State, usage: ContainerUsage) -> State:
        """Return the state with what the engine has not said of an out-of-memory kill, or says late."""
        if not state.exit_code or state.oom_killed or not command.memory:
            return state
        if usage.was_oom_killed():
            return replace(state, oom_killed=True)
        if state.exit_code not in KILLED:
            return state
        time.sleep(OOM_LAG)
        try:
            return State.of(self.connection.client.inspect_container(container))
        except NO_ANSWER:
            return state


def _outputs(command: Command, files: ExitStack) -> tuple[BinaryIO, BinaryIO]:
    stdout = files.enter_context(_closed_quietly(open_output(command.stdout)))
    if command.stdout == command.stderr:  # one buffer, or the order would be lost
        return stdout, stdout
    return stdout, files.enter_context(_closed_quietly(open_output(command.stderr)))


@contextmanager
def _closed_quietly(file: BinaryIO) -> Iterator[BinaryIO]:
    """Close a file; what could not be written then has been reported already."""
    try:
        yield file
    finally:
        try:
            file.close()
        except OSError as error:
            log.debug("closing a log: %s", error)
