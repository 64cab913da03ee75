"""A real listener on loopback: it writes down what comes, and misbehaves as a test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What the listener does with a post: an HTTP status, or:
DROP = "drop"  # cut the connection before it has read anything
FORGET_ANSWER = "forget"  # take the notice, but cut the connection instead of an answer
HANG = "hang"  # take nothing and answer nothing
DRIP = "drip"  # answer a byte at a time, without end
Deed = int | str


@dataclass(frozen=True)
class Post:
    """What came."""

    path: str
    key: str
    headers: dict[str, str]
    body: Any
    deed: Deed

    @property
    def payload(self) -> Any:
        """The notice's payload, or its token."""
        return self.body["payload"]


@dataclass
class Listener:
    """The posts that were taken, in their order; ``deed`` says what to do with the next one."""

    deed: Callable[[str], Deed] = lambda path: 200
    posts: list[Post] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        """The listener's address."""
        return f"http://127.0.0.1:{self.port}/airflow/"

    @property
    def taken(self) -> list[Post]:
        """What it has taken, a notice that came twice once."""
        found: dict[str, Post] = {}
        for post in self.posts:
            if post.deed == FORGET_ANSWER or (isinstance(post.deed, int) and post.deed < 300):
                found.setdefault(post.key, post)
        return list(found.values())


@contextmanager
def listening(listener: Listener) -> Iterator[Listener]:
    """Serve a listener till the end of the block, on a port of its own or the one that it had before."""
    server = ThreadingHTTPServer(("127.0.0.1", listener.port), _handler(listener))
    server.daemon_threads = True
    listener.port = server.server_address[1]
    listener.released.clear()
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            deed = listener.deed(self.path)
            if deed == DROP:
                return self._cut()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.posts.append(Post(self.path, headers["idempotency-key"], headers, body, deed))
            if deed == FORGET_ANSWER:
                self._cut()
            elif deed == HANG:
                listener.released.wait()
            elif deed == DRIP:
                self._drip()
            else:
                assert isinstance(deed, int)
                self.send_response(deed)
                self.send_header("Location", listener.url)  # where redirects would lead
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _drip(self) -> None:
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not listener.released.wait(0.05):
                    self.wfile.write(b"x")

        def _cut(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
