"""A way to the database that can be cut: for one worker alone."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import make_url


class Proxy:
    """Passes connections of a TCP port on to a Unix socket, until it is cut."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._cut = ""
        self._over = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.getsockname()[1])

    def cut(self, *, silently: bool) -> None:
        """Pass nothing on. Silently: connections stay open and nobody answers; else they are refused."""
        self._cut = "silently" if silently else "refusing"

    def mend(self) -> None:
        """Pass on again, also what came meanwhile."""
        self._cut = ""

    def close(self) -> None:
        """End it."""
        self._over = True
        self._thread.join()
        self._hang_up()
        self._server.close()

    def _work(self) -> None:
        while not self._over:
            if self._cut == "refusing":
                self._hang_up()
            with selectors.DefaultSelector() as selector:
                selector.register(self._server, selectors.EVENT_READ)
                for one in [] if self._cut else self._pairs:
                    selector.register(one, selectors.EVENT_READ)
                ready = {key.fd for key, _ in selector.select(0.05)}
            for one in [one for one in self._pairs if one.fileno() in ready]:
                self._pass_on(one)
            if self._server.fileno() in ready:
                self._accept()

    def _accept(self) -> None:
        client, _ = self._server.accept()
        if self._cut == "refusing":
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        self._pairs |= {client: server, server: client}

    def _pass_on(self, one: socket.socket) -> None:
        other = self._pairs.get(one)
        if other is None:
            return
        data = b""
        with suppress(OSError):
            data = one.recv(65536)
            if data:
                other.sendall(data)
                return
        for end in (one, other):
            self._pairs.pop(end, None)
            end.close()

    def _hang_up(self) -> None:
        for one in self._pairs:
            one.close()
        self._pairs.clear()


@contextmanager
def proxy(journal: str) -> Iterator[tuple[Proxy, str]]:
    """Yield a proxy in front of a PostgreSQL on a Unix socket, and the database's URL through it."""
    url = make_url(journal)
    made = Proxy(f"{url.query['host']}/.s.PGSQL.5432")
    try:
        through = url.set(host="127.0.0.1", port=made.port, query={})
        yield made, through.render_as_string(hide_password=False)
    finally:
        made.close()
