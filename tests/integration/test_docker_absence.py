"""An engine that is away before a container is made, and after one has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
from celeriac.errors import Cancelled, EngineUnreachable
from tests.integration.test_docker_engine import Proxy
from tests.unit.test_container_contract import HANG, wait_for


@pytest.fixture
def proxy(tmp_path: Path, docker_engine: str, docker_images: dict[str, str]) -> Iterator[Proxy]:
    with closing(Proxy(tmp_path / "engine.sock", docker_engine)) as made:
        yield made


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(
        name=f"test-{time.monotonic_ns()}",
        argv=("sh", "-c", "echo ready"),
        env={},
        workdir="/tmp",
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        container=ContainerSpec(Image("alpine")),
    )


def test_an_engine_that_was_there_before_is_waited_for(proxy: Proxy, command: Command) -> None:
    runner = DockerRunner(proxy.url)
    assert runner.run(command, CancelToken()).exit_code == 0
    proxy.cut()
    with ThreadPoolExecutor() as pool:
        future = pool.submit(runner.run, command, CancelToken())
        time.sleep(1)
        assert not future.done()
        proxy.mend()
        assert future.result(HANG).exit_code == 0


def test_a_wait_for_an_engine_ends_when_it_is_cancelled(proxy: Proxy, command: Command) -> None:
    runner, cancel = DockerRunner(proxy.url), CancelToken()
    runner.run(command, CancelToken())
    proxy.cut()
    with ThreadPoolExecutor() as pool:
        future = pool.submit(runner.run, command, cancel)
        time.sleep(0.5)
        cancel.cancel("enough")
        with pytest.raises(Cancelled, match="enough"):
            future.result(HANG)


def test_a_wait_for_an_engine_ends_with_the_patience(proxy: Proxy, command: Command) -> None:
    runner = DockerRunner(proxy.url, patience=0.5)
    runner.run(command, CancelToken())
    proxy.cut()
    with pytest.raises(EngineUnreachable, match="does not answer"):
        runner.run(command, CancelToken())


def test_what_an_absent_engine_kept_is_removed_when_it_is_back(
    proxy: Proxy, command: Command, docker_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celeriac.container.docker.fence.REMOVALS", 1)
    slow = replace(command, argv=("sh", "-c", "echo ready; sleep 100"))
    with closing(docker.APIClient(base_url=docker_engine)) as engine, ThreadPoolExecutor() as pool:
        future = pool.submit(DockerRunner(proxy.url, patience=3).run, slow, CancelToken())
        wait_for(lambda: future.done() or slow.stdout.exists() and slow.stdout.read_bytes() == b"ready\n")
        proxy.cut()
        with pytest.raises(EngineUnreachable):
            future.result(HANG)
        assert engine.containers(filters={"name": slow.name}), "nobody could remove it"
        proxy.mend()
        wait_for(lambda: not engine.containers(all=True, filters={"name": slow.name}))
