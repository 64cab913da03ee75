"""A web that has every page: what the conformance suite's network tests ask for, without a network.

The stand-in Python images send their web requests to a proxy on the host's side of the container
network (see images.py). This is that proxy; it fetches nothing. A container with a network gets its
200 from here, one without can't reach it. ``python net_stub.py HOST:PORT`` runs it alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import ProxyHandler, build_opener


class _EveryPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"here\n")

    def do_HEAD(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "5")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the tests say whether they got here."""


def serves(address: str) -> bool:
    """Whether such a proxy answers at ``HOST:PORT`` already."""
    opener = build_opener(ProxyHandler({"http": f"http://{address}"}))
    try:
        with opener.open("http://example.invalid/", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


@contextmanager
def net_stub(address: str) -> Iterator[None]:
    """Answer at ``HOST:PORT`` while the block runs. Raises ``OSError`` if the address can't be had."""
    host, _, port = address.rpartition(":")
    with ThreadingHTTPServer((host, int(port)), _EveryPage) as server:
        thread = Thread(target=server.serve_forever, name="net-stub", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with net_stub(sys.argv[1]):
        try:
            input("Enter ends it. ")
        except (EOFError, KeyboardInterrupt):
            pass
