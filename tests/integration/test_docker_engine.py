"""An engine that is not there, not allowed, not answering, or lost while a tool runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import docker
import pytest

from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
from celeriac.errors import Cancelled, EngineUnreachable
from tests.unit.test_container_contract import HANG, wait_for


def _command(tmp_path: Path, script: str, **changes: object) -> Command:
    return Command(
        name=f"test-{time.monotonic_ns()}",
        argv=("sh", "-c", script),
        env={},
        workdir="/tmp",
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        container=ContainerSpec(Image("alpine")),
        **changes,  # type: ignore[arg-type]
    )


# --- not there -------------------------------------------------------------------------------------


def _listen(path: Path, *, backlog: int | None = 1) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    if backlog is not None:
        server.listen(backlog)
    return server


def test_a_socket_without_a_server(tmp_path: Path) -> None:
    with closing(_listen(tmp_path / "s", backlog=None)), pytest.raises(EngineUnreachable, match="refused"):
        DockerRunner(f"unix://{tmp_path}/s").run(_command(tmp_path, "true"), CancelToken())


def test_a_port_without_a_server(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with pytest.raises(EngineUnreachable, match="refused"):
        DockerRunner(f"tcp://127.0.0.1:{port}").run(_command(tmp_path, "true"), CancelToken())


def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celeriac.container.docker.connection.FIRST_TIMEOUT", 0.5)
    with closing(_listen(tmp_path / "s")), pytest.raises(EngineUnreachable, match="timed out"):
        DockerRunner(f"unix://{tmp_path}/s").run(_command(tmp_path, "true"), CancelToken())


def test_a_server_that_is_no_engine(tmp_path: Path) -> None:
    def hang_up() -> None:
        server.accept()[0].close()

    with closing(_listen(tmp_path / "s")) as server:
        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(EngineUnreachable):
            DockerRunner(f"unix://{tmp_path}/s").run(_command(tmp_path, "true"), CancelToken())


DENIED = """
import os, sys
from celeriac.container.base import CancelToken, Image
from celeriac.container.docker import DockerRunner
from celeriac.errors import EnginePermissionDenied, EngineUnreachable
def ask(url):
    DockerRunner(url).prepare(Image("x"), allow_pull=True, force_pull=False, cancel=CancelToken())
try:
    ask("unix:///nowhere")  # imports all that is needed: another user may not be able to
except EngineUnreachable:
    pass
if os.geteuid() == 0:
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
try:
    ask(sys.argv[1])
except EnginePermissionDenied as error:
    print(error)
"""


def test_a_socket_that_this_user_may_not_use() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:  # not pytest's, which no other user may enter
        os.chmod(directory, 0o755)
        path = Path(directory) / "s"
        with closing(_listen(path)):
            path.chmod(0)
            argv = [sys.executable, "-c", DENIED, f"unix://{path}"]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout and "docker" in done.stdout and "--no-container" in done.stdout


def test_where_no_engine_answers_there_are_no_containers_to_know_of(tmp_path: Path) -> None:
    assert DockerRunner(f"unix://{tmp_path}/none").attempts("host") == frozenset()
    with closing(_listen(tmp_path / "s", backlog=None)):
        assert DockerRunner(f"unix://{tmp_path}/s").attempts("host") == frozenset()


# --- lost ------------------------------------------------------------------------------------------


class Proxy:
    """Stands before an engine's socket, so that a test can take the engine away and give it back."""

    def __init__(self, path: Path, engine: str) -> None:
        self.url = f"unix://{path}"
        self._engine = engine.removeprefix("unix://")
        self._open = True
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._attached: list[socket.socket] = []
        self._server = _listen(path, backlog=32)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, for_good: bool = True) -> None:
        """Drop all connections and, ``for_good``, those to come."""
        self._open = not for_good
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _shut(*pair)

    def cut_streams(self) -> None:
        """Drop the connections over which an attach was asked for, and no other."""
        for pair in self._pairs:
            if pair[0] in self._attached:
                _shut(*pair)

    def mend(self) -> None:
        self._open = True

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._open:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine)
            self._pairs.append((near, far))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if data.startswith(b"POST ") and b"/attach" in data.partition(b"\r\n")[0]:
                    self._attached.append(source)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(docker_engine: str, docker_images: dict[str, str], tmp_path: Path) -> Iterator[Proxy]:
    if not docker_engine.startswith("unix://"):
        pytest.skip("not tested: the engine is behind no unix socket")
    with closing(Proxy(tmp_path / "proxy", docker_engine)) as proxy:
        yield proxy


@pytest.fixture
def engine(docker_engine: str) -> Iterator[docker.APIClient]:
    with closing(docker.APIClient(base_url=docker_engine)) as client:
        yield client


LONG = "echo ready; while [ ! -e /here/go ]; do sleep 0.1; done; echo end; exit 3"


def _running(command: Command) -> bool:
    return command.stdout.exists() and command.stdout.read_bytes().startswith(b"ready\n")


def _with_signal_file(command: Command, tmp_path: Path) -> Command:
    from dataclasses import replace

    from celeriac.container.base import Mount

    tmp_path.chmod(0o755)  # root inside has no right to pass it over
    assert command.container
    return replace(command, container=replace(command.container, mounts=(Mount(str(tmp_path), "/here"),)))


def test_a_container_outlives_the_loss_of_its_engine_where_output_is_but_logs(proxy: Proxy, tmp_path: Path) -> None:
    script = "echo ready; while [ ! -e /here/go ]; do echo on; sleep 0.1; done; exit 3"
    command = _with_signal_file(_command(tmp_path, script, exact_output=False), tmp_path)
    with ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url).run, command, CancelToken())
        wait_for(lambda: future.done() or _running(command))
        proxy.cut()
        time.sleep(0.5)
        size = command.stdout.stat().st_size
        proxy.mend()
        wait_for(lambda: future.done() or command.stdout.stat().st_size > size)  # the log goes on
        (tmp_path / "go").touch()
        assert future.result(HANG).exit_code == 3


def test_the_exit_code_of_a_tool_that_ended_while_its_engine_was_away_is_taken(
    proxy: Proxy, engine: docker.APIClient, tmp_path: Path
) -> None:
    # as with live-restore: the engine comes back, and knows how the container ended
    command = _with_signal_file(_command(tmp_path, LONG, exact_output=False), tmp_path)
    with ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url).run, command, CancelToken())
        wait_for(lambda: future.done() or _running(command))
        proxy.cut()
        (tmp_path / "go").touch()
        wait_for(lambda: not engine.inspect_container(command.name)["State"]["Running"])
        proxy.mend()
        assert future.result(HANG).exit_code == 3
    _assert_gone(engine, command)


def test_a_dropped_stream_is_no_result_where_output_counts(
    proxy: Proxy, engine: docker.APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celeriac.container.docker.follow.LAG", 2)
    command = _with_signal_file(_command(tmp_path, LONG), tmp_path)
    with ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url, stop_grace=0.5).run, command, CancelToken())
        wait_for(lambda: future.done() or _running(command))
        proxy.cut_streams()
        with pytest.raises(EngineUnreachable, match="gap"):
            future.result(HANG)
    _assert_gone(engine, command)


def test_a_stream_that_was_dropped_shortly_before_the_end_is_seen(
    proxy: Proxy, engine: docker.APIClient, tmp_path: Path
) -> None:
    command = _command(tmp_path, "echo ready; sleep 3; exit 0")
    with ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url).run, command, CancelToken())
        wait_for(lambda: future.done() or _running(command))
        proxy.cut_streams()
        with pytest.raises(EngineUnreachable, match="gap"):
            future.result(HANG)
    _assert_gone(engine, command)


def test_an_end_while_the_engine_was_away_is_no_result_where_output_counts(
    proxy: Proxy, engine: docker.APIClient, tmp_path: Path
) -> None:
    command = _with_signal_file(_command(tmp_path, LONG), tmp_path)
    with ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url).run, command, CancelToken())
        wait_for(lambda: future.done() or _running(command))
        proxy.cut()
        (tmp_path / "go").touch()
        wait_for(lambda: not engine.inspect_container(command.name)["State"]["Running"])
        proxy.mend()
        with pytest.raises(EngineUnreachable, match="gap"):
            future.result(HANG)
    _assert_gone(engine, command)


def test_an_input_that_was_cut_is_no_result_even_where_output_is_but_logs(
    proxy: Proxy, engine: docker.APIClient, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(bytes(50_000_000))
    script = "echo ready; sleep 2; wc -c"
    command = _command(tmp_path, script, exact_output=False, stdin=tmp_path / "in")
    with ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url).run, command, CancelToken())
        wait_for(lambda: future.done() or _running(command))
        proxy.cut_streams()
        with pytest.raises(EngineUnreachable, match="gap"):
            future.result(HANG)
    _assert_gone(engine, command)


@pytest.mark.parametrize("cancelled", [False, True], ids=["patience ends", "cancelled"])
def test_an_engine_that_stays_away(proxy: Proxy, engine: docker.APIClient, tmp_path: Path, cancelled: bool) -> None:
    command, token = _command(tmp_path, "echo ready; sleep 600"), CancelToken()
    try:
        with ThreadPoolExecutor() as pool:
            future = pool.submit(DockerRunner(proxy.url, patience=1, stop_grace=0.5).run, command, token)
            wait_for(lambda: future.done() or _running(command))
            proxy.cut()
            if cancelled:
                token.cancel("enough")
            with pytest.raises(Cancelled if cancelled else EngineUnreachable):
                future.result(HANG)
    finally:
        engine.remove_container(command.name, force=True)


def test_connections_that_went_stale_are_made_anew(proxy: Proxy, tmp_path: Path) -> None:
    runner = DockerRunner(proxy.url)
    assert runner.run(_command(tmp_path, "exit 3"), CancelToken()).exit_code == 3
    proxy.cut(for_good=False)
    assert runner.run(_command(tmp_path, "exit 4"), CancelToken()).exit_code == 4


def test_a_runner_works_on_in_a_forked_child(docker_engine: str, docker_images: dict[str, str], tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
runner, here = DockerRunner(sys.argv[1]), Path(sys.argv[2])
def run(name, code):
    command = Command(f"{sys.argv[3]}-{name}", ("sh", "-c", f"exit {code}"), {}, "/tmp", here / name, here / name,
                      container=ContainerSpec(Image("alpine")))
    return runner.run(command, CancelToken()).exit_code
assert run("parent", 3) == 3
child = os.fork()
if not child:
    os._exit(run("child", 4))
assert run("beside", 5) == 5
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
"""
    argv = [sys.executable, "-c", code, docker_engine, str(tmp_path), f"test-{time.monotonic_ns()}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr


def test_who_has_containers_of_this_host(
    docker_engine: str, engine: docker.APIClient, docker_images: dict[str, str]
) -> None:
    host = f"test-{time.monotonic_ns()}"
    made = []
    try:
        for labels in (
            {"celeriac.host": host, "celeriac.attempt": "one"},
            {"celeriac.host": "another", "celeriac.attempt": "two"},
            {"celeriac.host": host},
        ):
            made.append(engine.create_container("alpine", "true", labels=labels)["Id"])
        assert DockerRunner(docker_engine).attempts(host) == {"one"}
    finally:
        for container in made:
            engine.remove_container(container, force=True)


def _assert_gone(engine: docker.APIClient, command: Command) -> None:
    assert not engine.containers(all=True, filters={"name": command.name})
