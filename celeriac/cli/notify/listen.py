"""`celeriac notify listen`: a small listener that prints each notice on a line, to try things out and to test."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from celeriac.errors import UsageError

#: Bytes of a body, at most, and seconds for which a connection may be silent.
LARGEST = 64 * 1024 * 1024
SILENCE = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("--port", type=int, default=8080, help="the port (default: 8080; 0: any that is free)")
    parser.add_argument("--host", default="127.0.0.1", help="the address (default: 127.0.0.1)")
    parser.add_argument("--key", metavar="FILE", help="verify signatures by this public key (PEM) or secret")
    parser.add_argument("--algorithm", default="RS256", help="of the signatures (default: RS256)")
    parser.add_argument("--fail", metavar="N", type=int, default=0, help="answer the first N posts with 503")


def main(args: argparse.Namespace) -> int:
    """Listen until interrupted."""
    decode = _verifier(args.key, args.algorithm) if args.key else None
    try:
        server = ThreadingHTTPServer((args.host, args.port), _handler(Notebook(decode, args.fail)))
    except (OSError, OverflowError) as error:
        problem = f"can't listen on {args.host} port {args.port}: {getattr(error, 'strerror', None) or error}"
        raise UsageError(problem, hint="--port 0 takes a free one") from error
    with server:
        host, port = server.server_address[:2]
        print(f"celeriac: listening on http://{host!s}:{port}/", file=sys.stderr, flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _verifier(path: str, algorithm: str) -> Callable[[str], Any]:
    """Return what verifies a token and gives its claims; raises :class:`~celeriac.errors.UsageError`."""
    from celeriac.notify.sign import ALGORITHMS

    if algorithm not in ALGORITHMS:
        raise UsageError(f"--algorithm is {algorithm!r}", hint="known: " + ", ".join(sorted(ALGORITHMS)))
    try:
        key = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--key {path} can't be read: {error.strerror}") from error
    import jwt

    return lambda token: jwt.decode(token, key.strip(), [algorithm], options={"verify_aud": False})


class Notebook:
    """What has come. Safe to use from many threads."""

    def __init__(self, decode: Callable[[str], Any] | None, fail: int) -> None:
        self._decode = decode
        self._fail = fail
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def take(self, path: str, key: str, body: bytes) -> int:
        """Print a notice; returns the answer's HTTP status."""
        with self._lock:
            if self._fail > 0:
                self._fail -= 1
                self._print(path, key, "failed", None)
                return 503
            mark, content = self._read(body)
            if mark != "refused":
                mark = "again" if key in self._seen else mark
                self._seen |= {key} if key else set()
            self._print(path, key, mark, content)
        return {"refused": 403, "malformed": 400}.get(mark, 200)

    def _read(self, body: bytes) -> tuple[str, Any]:
        try:
            found = json.loads(body)
            payload = found.get("payload", found)
        except (ValueError, AttributeError, RecursionError):
            return "malformed", None
        if self._decode is None:
            return "unverified" if isinstance(payload, str) else "plain", payload
        try:
            return "signed", self._decode(payload)
        except Exception:  # not signed, by another key, or no token at all
            return "refused", None

    def _print(self, path: str, key: str, mark: str, content: Any) -> None:
        # as JSON, so that nothing that came can look like another line, or move the cursor
        print(mark, json.dumps(path), key or "-", json.dumps(content), flush=True)


def _handler(notebook: Notebook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or len(length) > 9 or int(length) > LARGEST:
                return self._answer(413 if length.isdecimal() else 411)
            key = "".join(c for c in self.headers.get("Idempotency-Key", "") if c.isalnum() or c == "-")[:64]
            self._answer(notebook.take(self.path, key, self.rfile.read(int(length))))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing beside the notices."""

    return Handler
