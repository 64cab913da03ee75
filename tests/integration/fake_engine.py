"""A container engine that runs nothing: the part of the Docker Engine API that one container needs.

For what no real engine here can do (GPUs), or can't be made to do (other statistics). It keeps what it was
asked, and plays a container that writes ``output`` and ends with ``exit_code`` after ``seconds``.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

ID = "c0ffee" * 10


@dataclass
class FakeEngine:
    """What it plays, and what it was asked."""

    output: bytes = b"done\n"
    exit_code: int = 0
    seconds: float = 0.0
    refusal: str = ""  # of the start
    statistics: dict[str, Any] | None = None  # None: no answer to that question
    created: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)  # METHOD WHAT
    started: threading.Event = field(default_factory=threading.Event)
    _ended_at: float = 0.0

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return status and body of the answer to a call; paths are without the version."""
        what = re.sub(r"/containers/[^/]+/?", "/container/", path) if "create" not in path else path
        self.calls.append(f"{method} {what}")
        match method, what:
            case "GET", "/version":
                return 200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
            case "GET", image if image.startswith("/images/"):
                return 200, {"Id": "sha256:" + "1" * 64}
            case "POST", "/containers/create":
                self.created.append(body)
                return 201, {"Id": ID, "Warnings": []}
            case "POST", "/container/start":
                return self._start()
            case "POST", "/container/wait":
                time.sleep(max(0.0, self._ended_at - time.monotonic()))
                return 200, {"StatusCode": self.exit_code}
            case "GET", "/container/json":
                return 200, {"Id": ID, "State": self._state(), "Config": {"Labels": {}}}
            case "GET", "/container/stats" if self.statistics is not None:
                return 200, self.statistics
            case "DELETE", "/container/":
                return 204, None
        return 404, {"message": f"the fake engine does not know {method} {path}"}

    def _start(self) -> tuple[int, Any]:
        if self.refusal:
            return 500, {"message": self.refusal}
        self._ended_at = time.monotonic() + self.seconds
        self.started.set()
        return 204, None

    def _state(self) -> dict[str, Any]:
        ended = self.started.is_set() and time.monotonic() >= self._ended_at
        return {"Status": "exited" if ended else "running", "ExitCode": self.exit_code, "OOMKilled": False}

    def frames(self) -> bytes:
        """Return the output as the attached stream, when the container has ended."""
        self.started.wait(30)
        time.sleep(max(0.0, self._ended_at - time.monotonic()))
        return bytes([1, 0, 0, 0]) + len(self.output).to_bytes(4, "big") + self.output


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 16


def serve(engine: FakeEngine, path: Path) -> _Server:
    """Let an engine answer at a unix socket, from a thread; to be shut down and closed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            target = re.sub(r"^/v[0-9.]+", "", self.path.partition("?")[0])
            if target.endswith("/attach"):
                self._attach()
                return
            status, answer = engine.answer(self.command, target, body)
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _attach(self) -> None:
            self.send_response(101, "UPGRADED")
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "tcp")
            self.end_headers()
            self.close_connection = True
            if not engine.refusal:
                self.wfile.write(engine.frames())

        do_GET = do_POST = do_DELETE = _do  # noqa: N815  # the names that the base class looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _Server(str(path), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server
