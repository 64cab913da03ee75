"""Where images come from: the engine, a registry, an archive, a Dockerfile. All on this host."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import docker
import pytest
from docker.errors import ImageNotFound as NoSuchImage
from docker.errors import NotFound

from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
from celeriac.errors import Cancelled, CeleriacError, EngineUnreachable, ImageNotFound
from tests.unit.test_container_contract import HANG, wait_for


@pytest.fixture
def engine(docker_engine: str) -> Iterator[docker.APIClient]:
    with closing(docker.APIClient(base_url=docker_engine)) as client:
        yield client


@pytest.fixture
def runner(docker_engine: str, tmp_path: Path) -> Iterator[DockerRunner]:
    runner = DockerRunner(docker_engine, lock_directory=tmp_path / "locks", stop_grace=0.5)
    yield runner
    runner.close()


@pytest.fixture
def name(engine: docker.APIClient) -> Iterator[str]:
    """A name for an image that is removed afterwards."""
    name = f"celeriac-test-{time.monotonic_ns()}:1"
    yield name
    _remove(engine, name)


def _remove(engine: docker.APIClient, name: str) -> None:
    try:
        engine.remove_image(name, force=True)
    except NoSuchImage:
        pass


def prepare(runner: DockerRunner, image: Image, *, pull: bool = True, force: bool = False) -> str:
    return runner.prepare(image, allow_pull=pull, force_pull=force, cancel=CancelToken())


# --- the engine's own ------------------------------------------------------------------------------


def test_an_image_that_is_here(runner: DockerRunner, docker_images: dict[str, str]) -> None:
    assert prepare(runner, Image("alpine")) == docker_images["alpine"]
    assert prepare(runner, Image("alpine", pull="alpine"), pull=False) == docker_images["alpine"]


def test_an_image_that_nobody_knows_where_to_get(runner: DockerRunner) -> None:
    with pytest.raises(ImageNotFound, match="no/such:image") as caught:
        prepare(runner, Image("no/such:image"))
    assert caught.value.fields["image"] == "no/such:image"
    assert "dockerPull" in caught.value.hint


def test_no_pulling_when_it_is_turned_off(runner: DockerRunner) -> None:
    with pytest.raises(ImageNotFound, match="turned off") as caught:
        prepare(runner, Image("no/such:image", pull="no/such:image"), pull=False)
    assert "docker pull no/such:image" in caught.value.hint


def test_a_name_that_is_none(runner: DockerRunner) -> None:
    with pytest.raises(ImageNotFound, match="Not A Name"):
        prepare(runner, Image("Not A Name", pull="Not A Name"))


def test_an_image_that_was_removed_meanwhile(
    runner: DockerRunner, engine: docker.APIClient, name: str, tmp_path: Path, docker_images: dict[str, str]
) -> None:
    image = Image(name, file="FROM alpine\nENV X=1\n")
    prepare(runner, image)
    engine.remove_image(name, force=True)
    assert runner.run(_command(tmp_path, image, "exit 3"), CancelToken()).exit_code == 3


# --- a registry ------------------------------------------------------------------------------------


def _layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"data"))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """The few answers of a registry that an engine needs to pull one image, whatever its name."""

    def __init__(self) -> None:
        layer = _layer()
        blob = gzip.compress(layer)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "config": {"Env": [f"MADE={time.monotonic_ns()}"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
        text = json.dumps(config).encode()
        media = "application/vnd.docker"
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{media}.distribution.manifest.v2+json",
            "config": {
                "mediaType": f"{media}.container.image.v1+json",
                "size": len(text),
                "digest": _digest(text),
            },
            "layers": [
                {
                    "mediaType": f"{media}.image.rootfs.diff.tar.gzip",
                    "size": len(blob),
                    "digest": _digest(blob),
                }
            ],
        }
        self.id = _digest(text)
        self.manifest = json.dumps(manifest).encode()
        self.blobs = {_digest(text): text, _digest(blob): blob}
        self.may_answer = threading.Event()  # to the question for a manifest
        self.may_send = threading.Event()  # the second half of the config
        self.may_answer.set()
        self.may_send.set()
        self.asked = 0  # for a manifest
        self.sending = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.may_answer.set()
        self.may_send.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.answer(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = request.path.strip("/").split("/")
        if "manifests" in parts and parts[-1] != "absent":
            self.asked += 1
            self.sending.set()
            self.may_answer.wait(HANG)
            self._send(request, self.manifest, "application/vnd.docker.distribution.manifest.v2+json")
        elif "blobs" in parts and parts[-1] in self.blobs:
            self._send(request, self.blobs[parts[-1]], "application/octet-stream", slowly=True)
        elif parts == ["v2"]:
            self._send(request, b"{}", "application/json")
        else:
            self._send(request, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "application/json", 404)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        data: bytes,
        kind: str,
        status: int = 200,
        *,
        slowly: bool = False,
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        request.send_header("Docker-Content-Digest", _digest(data))
        request.end_headers()
        if request.command == "HEAD":
            return
        half = len(data) // 2 if slowly else len(data)
        try:
            request.wfile.write(data[:half])
            request.wfile.flush()
            self.may_send.wait(HANG)
            request.wfile.write(data[half:])
        except OSError:
            request.close_connection = True


@pytest.fixture
def registry(docker_engine: str, engine: docker.APIClient) -> Iterator[Registry]:
    if not docker_engine.startswith("unix://"):
        pytest.skip("not tested: the engine may be on another host, where this registry is not")
    with closing(Registry()) as registry:
        yield registry
        for name in ("a:1", "b:1"):
            _remove(engine, f"{registry.host}/{name}")


def test_a_pull(runner: DockerRunner, registry: Registry) -> None:
    name = f"{registry.host}/a:1"
    assert prepare(runner, Image(name, pull=name)) == registry.id
    asked = registry.asked
    assert prepare(runner, Image(name, pull=name)) == registry.id
    assert registry.asked == asked


def test_a_pull_under_another_name(runner: DockerRunner, registry: Registry) -> None:
    """CWL: dockerImageId is the name to run, dockerPull the one to fetch."""
    assert prepare(runner, Image(f"{registry.host}/b:1", pull=f"{registry.host}/a:1")) == registry.id


def test_a_forced_pull_asks_the_registry_once_for_each_runner(
    runner: DockerRunner, registry: Registry, docker_engine: str
) -> None:
    image = Image(f"{registry.host}/a:1", pull=f"{registry.host}/a:1")
    prepare(runner, image)
    asked = [registry.asked]
    with closing(DockerRunner(docker_engine)) as another:
        for _ in range(3):
            assert prepare(another, image, force=True) == registry.id
            asked.append(registry.asked)
    assert asked[0] < asked[1] == asked[2] == asked[3]


def test_what_the_registry_has_not(runner: DockerRunner, registry: Registry) -> None:
    name = f"{registry.host}/a:absent"
    with pytest.raises(ImageNotFound, match=name):
        prepare(runner, Image(name, pull=name))


def test_a_registry_that_is_not_there(runner: DockerRunner, docker_engine: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        name = f"127.0.0.1:{server.getsockname()[1]}/a:1"
    with pytest.raises(ImageNotFound, match=name):
        prepare(runner, Image(name, pull=name))


def test_one_pull_for_many(
    runner: DockerRunner, registry: Registry, docker_engine: str, engine: docker.APIClient, tmp_path: Path
) -> None:
    """Threads of one runner and other runners with the same lock directory, as in other processes."""
    prepare(runner, Image(f"{registry.host}/b:1", pull=f"{registry.host}/b:1"))
    once = registry.asked
    engine.remove_image(f"{registry.host}/b:1")
    registry.sending.clear()
    image = Image(f"{registry.host}/a:1", pull=f"{registry.host}/a:1")
    others = [DockerRunner(docker_engine, lock_directory=tmp_path / "locks") for _ in range(3)]
    registry.may_send.clear()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(prepare, one, image) for one in [runner] * 4 + others]
        wait_for(registry.sending.is_set)
        time.sleep(0.5)
        registry.may_send.set()
        assert [future.result(HANG) for future in futures] == [registry.id] * 7
    assert registry.asked <= 2 * once, "more than one pull"
    for other in others:
        other.close()


@pytest.mark.parametrize("when", ["before the first word", "in the middle"])
def test_a_pull_can_be_cancelled(runner: DockerRunner, registry: Registry, when: str) -> None:
    image, token = Image(f"{registry.host}/a:1", pull=f"{registry.host}/a:1"), CancelToken()
    (registry.may_send if when == "in the middle" else registry.may_answer).clear()
    with ThreadPoolExecutor() as pool:
        future = pool.submit(runner.prepare, image, allow_pull=True, force_pull=False, cancel=token)
        wait_for(registry.sending.is_set)
        token.cancel("enough")
        with pytest.raises(Cancelled):
            future.result(HANG)
    registry.may_send.set()
    registry.may_answer.set()
    assert prepare(runner, image) == registry.id, "the next one is not held up"


def test_waiting_for_anothers_pull_can_be_cancelled(runner: DockerRunner, registry: Registry) -> None:
    image, token = Image(f"{registry.host}/a:1", pull=f"{registry.host}/a:1"), CancelToken()
    registry.may_send.clear()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(prepare, runner, image)
        wait_for(registry.sending.is_set)
        second = pool.submit(runner.prepare, image, allow_pull=True, force_pull=False, cancel=token)
        token.cancel("enough")
        with pytest.raises(Cancelled):
            second.result(HANG)
        registry.may_send.set()
        assert first.result(HANG) == registry.id


# --- archives --------------------------------------------------------------------------------------


@contextmanager
def _served(directory: Path) -> Iterator[str]:
    from functools import partial
    from http.server import SimpleHTTPRequestHandler

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def archive(engine: docker.APIClient, name: str, tmp_path: Path) -> Path:
    """What `docker save` makes of an image, which is gone then."""
    path = tmp_path / "saved image.tar"
    repository, _, tag = name.partition(":")
    engine.import_image_from_data(_layer(), repository=repository, tag=tag)
    with path.open("wb") as file:
        for piece in engine.get_image(name):
            file.write(piece)
    engine.remove_image(name)
    return path


@pytest.mark.parametrize("how", ["path", "file", "http"])
def test_load(runner: DockerRunner, engine: docker.APIClient, archive: Path, name: str, how: str) -> None:
    with _served(archive.parent) as url:
        source = {"path": str(archive), "file": archive.as_uri(), "http": f"{url}/saved%20image.tar"}[how]
        found = prepare(runner, Image(name, load=source))
    assert found == engine.inspect_image(name)["Id"]


def test_an_archive_that_holds_another_image(runner: DockerRunner, archive: Path, name: str) -> None:
    with pytest.raises(ImageNotFound, match="celeriac-test-another:1") as caught:
        prepare(runner, Image("celeriac-test-another:1", load=str(archive)))
    assert name in caught.value.hint


@pytest.mark.parametrize("source", ["/no/such/archive", "file:///no/such/archive", "http://127.0.0.1:1/none"])
@pytest.mark.parametrize("kind", ["load", "import_url"])
def test_an_archive_that_is_not_there(runner: DockerRunner, name: str, kind: str, source: str) -> None:
    with pytest.raises(ImageNotFound, match=name) as caught:
        prepare(runner, Image(name, **{kind: source}))
    assert "No such file" in str(caught.value) or "refused" in str(caught.value)


def test_a_page_that_is_not_there(runner: DockerRunner, name: str, tmp_path: Path) -> None:
    with _served(tmp_path) as url, pytest.raises(ImageNotFound, match="404"):
        prepare(runner, Image(name, load=f"{url}/none"))


@pytest.mark.parametrize("kind", ["load", "import_url"])
def test_an_archive_that_is_none(runner: DockerRunner, name: str, tmp_path: Path, kind: str) -> None:
    (tmp_path / "junk").write_bytes(b"no archive" * 1000)
    with pytest.raises(ImageNotFound, match=name) as caught:
        prepare(runner, Image(name, **{kind: str(tmp_path / "junk")}))
    assert str(tmp_path / "junk") in caught.value.hint


@pytest.mark.parametrize("how", ["path", "http"])
def test_import(runner: DockerRunner, engine: docker.APIClient, name: str, tmp_path: Path, how: str) -> None:
    (tmp_path / "root.tar").write_bytes(_layer())
    with _served(tmp_path) as url:
        source = f"{url}/root.tar" if how == "http" else str(tmp_path / "root.tar")
        found = prepare(runner, Image(name, import_url=source))
    assert found == engine.inspect_image(name)["Id"]


def test_a_download_can_be_cancelled(runner: DockerRunner, name: str) -> None:
    token = CancelToken()
    with closing(socket.create_server(("127.0.0.1", 0))) as server, ThreadPoolExecutor() as pool:
        image = Image(name, load=f"http://127.0.0.1:{server.getsockname()[1]}/slow")
        future = pool.submit(runner.prepare, image, allow_pull=True, force_pull=False, cancel=token)
        connection, _ = server.accept()
        with closing(connection):
            token.cancel("enough")
            with pytest.raises(Cancelled):
                future.result(HANG)


# --- a Dockerfile ----------------------------------------------------------------------------------


def _command(tmp_path: Path, image: Image, script: str, *argv: str) -> Command:
    return Command(
        name=f"test-{time.monotonic_ns()}",
        argv=argv or ("sh", "-c", script),
        env={},
        workdir="/",
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        container=ContainerSpec(image),
    )


def test_a_built_image_keeps_its_entrypoint(
    runner: DockerRunner, docker_images: dict[str, str], name: str, tmp_path: Path
) -> None:
    image = Image(name, file='FROM alpine\nENTRYPOINT ["echo", "from the entrypoint:"]\n')
    runner.run(_command(tmp_path, image, "", "a", "b c"), CancelToken())
    assert (tmp_path / "stdout").read_text() == "from the entrypoint: a b c\n"


def test_another_text_is_another_image(
    runner: DockerRunner, engine: docker.APIClient, docker_images: dict[str, str], name: str
) -> None:
    first = prepare(runner, Image(name, file="FROM alpine\nENV A=1\n"))
    second = prepare(runner, Image(name, file="FROM alpine\nENV A=2\n"))
    engine.remove_image(first)
    assert first != second
    assert prepare(runner, Image(name)) == second, "a name alone is whatever has it"


def test_a_build_that_fails_tells_its_log(runner: DockerRunner, docker_images: dict[str, str], name: str) -> None:
    with pytest.raises(ImageNotFound, match=name) as caught:
        prepare(runner, Image(name, file="FROM alpine\nRUN echo the reason; exit 9\n"))
    assert "the reason" in str(caught.value)
    assert "9" in str(caught.value)


def test_a_build_can_be_cancelled(
    runner: DockerRunner, engine: docker.APIClient, docker_images: dict[str, str], name: str
) -> None:
    def building() -> bool:
        return any("sleep 613" in one["Command"] for one in engine.containers())

    image, token = Image(name, file="FROM alpine\nRUN sleep 613\n"), CancelToken()
    with ThreadPoolExecutor() as pool:
        future = pool.submit(runner.prepare, image, allow_pull=True, force_pull=False, cancel=token)
        wait_for(building)
        token.cancel("enough")
        with pytest.raises(Cancelled):
            future.result(HANG)
    wait_for(lambda: not building())


def test_anonymous_volumes_go_with_the_container(
    runner: DockerRunner, engine: docker.APIClient, docker_images: dict[str, str], name: str, tmp_path: Path
) -> None:
    image, token = Image(name, file="FROM alpine\nVOLUME /data\n"), CancelToken()
    command = _command(tmp_path, image, "touch /data/x && echo ready; exec sleep 600")
    with ThreadPoolExecutor() as pool:
        future = pool.submit(runner.run, command, token)
        wait_for(lambda: future.done() or command.stdout.exists() and bool(command.stdout.read_bytes()))
        (volume,) = engine.inspect_container(command.name)["Mounts"]
        token.cancel("seen")
        with pytest.raises(Cancelled):
            future.result(HANG)
    with pytest.raises(NotFound):
        engine.inspect_volume(volume["Name"])


def test_no_engine_is_not_the_images_fault(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"")
    with pytest.raises(CeleriacError) as caught:
        prepare(DockerRunner(f"unix://{tmp_path}/none"), Image("x", load=str(tmp_path / "archive")))
    assert isinstance(caught.value, EngineUnreachable)
    assert urlsplit(caught.value.fields["url"]).path.endswith("none")
