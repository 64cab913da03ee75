"""Servers that are ended, killed, halted and started again while a workflow runs: in their place, with their data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from signal import Signals

from redis import Redis

from tests.services import Server, postgresql_server, rabbitmq_server, redis_server
from tests.services.process import free_port, private_directory
from tests.services.require import require

#: Lists of Celery's in Redis that hold no messages.
_NO_QUEUES = ("_kombu", "unacked", "celery-task-meta", "chord")


class Restartable:
    """One server. To be used in the test's main thread: its processes end with the thread that started them."""

    def __init__(self, serve: Callable[[], AbstractContextManager[Server]]) -> None:
        self._serve = serve
        self._stack = ExitStack()
        self._pid = 0
        self.url = ""

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended since."""
        return bool(self._pid)

    def start(self) -> None:
        """Start it, and wait until it serves."""
        server = self._stack.enter_context(self._serve())
        assert server.pid is not None
        self.url, self._pid = server.url, server.pid

    def stop(self) -> None:
        """End it in order."""
        self.send(Signals.SIGCONT)  # one that is halted would not hear
        self._stack.close()
        self._pid = 0

    def kill(self) -> None:
        """SIGKILL its main process; its others follow."""
        self.send(Signals.SIGKILL)
        self._stack.close()
        self._pid = 0

    def send(self, number: Signals) -> None:
        """Send a signal to its main process, if it runs."""
        if self._pid:
            os.kill(self._pid, number)


@contextmanager
def _started(serve: Callable[[], AbstractContextManager[Server]]) -> Iterator[Restartable]:
    server = Restartable(serve)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def redis(*, keeps: bool = False, also: str = "") -> Iterator[Restartable]:
    """Yield a Redis; one that ``keeps`` has its data again after it was killed.

    ``also`` is another address of this host at which it listens.
    """
    _require(redis_server.missing())
    port = free_port()
    with private_directory() as directory:
        with _started(lambda: redis_server.serving(directory, port, keeps=keeps, also=also)) as server:
            yield server


@contextmanager
def rabbitmq(settings: str = "", arguments: str = "") -> Iterator[Restartable]:
    """Yield a RabbitMQ with settings of rabbitmq.conf and Erlang's arguments; it keeps what is in its queues."""
    _require(rabbitmq_server.missing())
    with rabbitmq_server.node(settings, arguments) as serve, _started(serve) as server:
        yield server


@contextmanager
def postgresql() -> Iterator[Restartable]:
    """Yield a PostgreSQL with its data."""
    _require(postgresql_server.missing())
    with postgresql_server.directory_for_data() as directory:
        with _started(lambda: postgresql_server.serving(directory)) as server:
            yield server


def _require(reason: str) -> None:
    require(reason, available=not reason)


# --- Redis's messages -------------------------------------------------------------------------------


def waiting(client: Redis) -> dict[str, list[bytes]]:
    """Return the messages that nobody has taken, by their list."""
    names = [key.decode() for key in client.keys("*") if isinstance(key, bytes)]
    lists = [name for name in names if client.type(name) == b"list" and not name.startswith(_NO_QUEUES)]
    return {name: [one for one in client.lrange(name, 0, -1) if isinstance(one, bytes)] for name in lists}
