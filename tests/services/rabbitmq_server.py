"""A private RabbitMQ node with its own name service, cookie, database and ports."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kombu import Connection

from tests.services import Server
from tests.services.process import free_port, private_directory, running

# Debian's /usr/sbin/rabbitmq-server changes to the account "rabbitmq" and logs under /var; this
# one is the program behind it.
_DEBIAN = "/usr/lib/rabbitmq/bin/rabbitmq-server"

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.file = false
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 33554432
"""


def missing() -> str:
    """Say why no RabbitMQ can be started here; empty if one can."""
    if not _server():
        return "rabbitmq-server is not installed"
    return "" if shutil.which("epmd") else "epmd, Erlang's name service, is not on the PATH"


def _server() -> str | None:
    return shutil.which(_DEBIAN) or shutil.which("rabbitmq-server")


@contextmanager
def rabbitmq_server() -> Iterator[Server]:
    """Yield a fresh RabbitMQ on a free loopback port, with the user guest/guest and the vhost ``/``."""
    with node() as serve, serve() as server:
        yield server


@contextmanager
def node(settings: str = "", arguments: str = "") -> Iterator[Callable[[], AbstractContextManager[Server]]]:
    """Yield what starts one node, again and again with the same port and data.

    ``settings`` are lines of rabbitmq.conf, ``arguments`` are for Erlang.
    """
    port = free_port()
    with private_directory() as home, _name_service(home) as name_service:
        env = {**name_service, **_node(home, port, settings, arguments)}
        yield lambda: _serving(home, port, env)


@contextmanager
def _serving(home: Path, port: int, env: dict[str, str]) -> Iterator[Server]:
    url = f"amqp://guest:guest@127.0.0.1:{port}//"

    def ready() -> bool:
        with Connection(url, connect_timeout=5) as connection:
            connection.connect()
            return True

    with running([str(_server())], ready=ready, log=home / "rabbitmq.log", env=env) as process:
        yield Server(url, process.pid)


@contextmanager
def _name_service(home: Path) -> Iterator[dict[str, str]]:
    """Run epmd in the foreground; the one that Erlang would start by itself outlives its node."""
    port = free_port()

    def ready() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    argv = ["epmd", "-address", "127.0.0.1", "-port", str(port)]
    with running(argv, ready=ready, log=home / "epmd.log"):
        yield {"ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(port)}


def _node(home: Path, port: int, settings: str, arguments: str) -> dict[str, str]:
    config, plugins = home / "rabbitmq.conf", home / "enabled_plugins"
    config.write_text(_CONFIG.format(port=port) + settings)
    plugins.write_text("[].\n")
    return {
        "HOME": str(home),  # of the Erlang cookie
        "RABBITMQ_NODENAME": f"celeriac-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_BASE": str(home),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # else the machine's own settings win
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        # Together: the Erlang machine itself is our child, not a shell that waits for it.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
        # Node to node traffic stays on the loopback interface; two schedulers start fastest.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} +S 2:2 {arguments}",
    }
