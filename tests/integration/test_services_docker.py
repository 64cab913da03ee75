"""The Docker engine runs a container through the SDK; none is started beside a running one."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.services import docker_engine as engine
from tests.services.process import private_directory

# Answers what the SDK asks first. A stand-in, because a real second engine would disturb the first.
_DOCKERD = """#!{python}
import http.server, socketserver

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{{"ApiVersion": "1.41"}}' if self.path.endswith("/version") else b"OK"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "client"

socketserver.UnixStreamServer("{socket}", Answer).serve_forever()
"""


def test_a_container_runs(docker_engine: str, docker_images: dict[str, str]) -> None:
    with closing(docker.DockerClient(base_url=docker_engine)) as client:
        output = client.containers.run(
            docker_images["alpine"], ["sh", "-c", "echo $((6 * 7))"], remove=True, network_mode="none"
        )
    assert output == b"42\n"


def test_an_engine_that_runs_is_used(docker_engine: str) -> None:
    with engine.docker_engine() as second:
        assert second.url == docker_engine
        assert second.pid is None


def test_no_engine_is_started_for_an_address_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert "DOCKER_HOST" in engine.missing()


def test_where_none_answers_one_is_started_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_directory() as directory:
        socket, program = directory / "docker.sock", directory / "dockerd"
        program.write_text(_DOCKERD.format(python=sys.executable, socket=socket))
        program.chmod(0o700)
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setattr(engine, "_DEFAULT", f"unix://{socket}")
        monkeypatch.setenv("PATH", str(directory))  # nothing else: the machine's dockerd is out of reach
        with engine.docker_engine() as server:
            assert server.url == f"unix://{socket}"
            assert Path(f"/proc/{server.pid}").exists()
        assert not Path(f"/proc/{server.pid}").exists()
