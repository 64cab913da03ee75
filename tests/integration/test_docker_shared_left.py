"""Commands that share a container: whose name it has, and what is left of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from celeriac.container.base import CancelToken
from celeriac.container.identity import boot_id
from celeriac.container.owner import owner_labels
from celeriac.errors import (
    Cancelled,
    ContainerError,
    KilledFromOutside,
    NameTaken,
)
from celeriac.names import container_of
from tests.integration.sharing import WHICH, Start, Step
from tests.unit.test_container_contract import HANG, wait_for

# --- its name ----------------------------------------------------------------------------------------


def test_the_name_tells_which_one_runs(step: Step, start: Start) -> None:
    step.says("true")
    token = CancelToken()
    command = step.item("echo ready; exec sleep 600")
    future = start(command, token)
    assert [one["Names"] for one in step.containers()] == [[f"/{command.name}"]]
    assert step.runner.clear(command.name), "as a reaper does"
    with pytest.raises(KilledFromOutside):
        future.result(HANG)
    assert not step.containers()


def test_a_living_holder_of_the_name_stays(step: Step, engine: docker.APIClient) -> None:
    first = step.says(WHICH)
    command = step.item(WHICH)
    held = str(engine.create_container("alpine", ["sleep", "600"], name=command.name, labels=owner_labels())["Id"])
    try:
        with pytest.raises(NameTaken, match=command.name):
            step.run(command)
        assert not command.stdout.exists()
    finally:
        engine.remove_container(held, force=True)
    assert step.says(WHICH) == first


def test_a_dead_holder_of_the_name_makes_way(step: Step, engine: docker.APIClient) -> None:
    first = step.says(WHICH)
    command = step.item(WHICH)
    gone = {**owner_labels(), "celeriac.owner": owner_labels()["celeriac.owner"].replace(":", ":1", 1)}
    engine.create_container("alpine", ["sleep", "600"], name=command.name, labels=gone)
    step.run(command)
    assert command.stdout.read_text().strip() == first


# --- what is left ------------------------------------------------------------------------------------


def test_one_that_nobody_uses_goes(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celeriac.container.docker.pool.IDLE", 0.3)
    for _ in range(2):
        step.says("true")
        wait_for(lambda: not step.containers())


def test_one_in_use_when_the_runner_closes_goes_with_its_command(step: Step, start: Start) -> None:
    future = start(step.item("echo ready; exec sleep 2"), CancelToken())
    step.runner.close()
    assert future.result(HANG).exit_code == 0
    assert not step.containers()


def test_a_cancel_at_any_time_leaves_nothing(step: Step) -> None:
    for number in range(8):
        token = CancelToken()
        timer = threading.Timer(number * 0.04, token.cancel, ["now"])
        timer.start()
        with pytest.raises(Cancelled):
            step.run(step.item("exec sleep 600"), token)
        timer.join()
    assert not step.containers()


WORKER = """
import signal, sys, time
from pathlib import Path
from celeriac.container.base import CancelToken, Command, ContainerSpec, Image, Sharing
from celeriac.container.docker import DockerRunner
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
url, here, name, script = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
labels = {"celeriac.run": name, "celeriac.attempt": name}
command = Command(f"celeriac-{name}", ("sh", "-c", script), {}, "/tmp", here / "out", here / "err",
                  container=ContainerSpec(Image("alpine"), user="0:0", labels=labels,
                                          sharing=Sharing(name, (here,), here, "/var/lib/cwl")))
DockerRunner(url).run(command, CancelToken())
print("done", flush=True)
time.sleep(600)
"""


@pytest.fixture
def worker(
    docker_engine: str, docker_images: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], str]]]:
    begun = []

    def begin(script: str) -> tuple[subprocess.Popen[str], str]:
        name = f"test-{time.monotonic_ns()}"
        argv = [sys.executable, "-c", WORKER, docker_engine, str(tmp_path), name, script]
        begun.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        return begun[-1], name

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def _of(engine: docker.APIClient, name: str) -> list[dict[str, Any]]:
    return engine.containers(all=True, filters={"label": f"celeriac.run={name}"})


def test_the_idle_container_of_a_killed_worker_ends_by_itself(worker: Any, engine: docker.APIClient) -> None:
    process, name = worker("true")
    assert process.stdout.readline() == "done\n"
    assert _of(engine, name)
    process.kill()
    wait_for(lambda: not _of(engine, name))


def test_what_a_killed_worker_left_running_is_listed_and_cleared(
    worker: Any, step: Step, engine: docker.APIClient, tmp_path: Path
) -> None:
    process, name = worker("echo ready; exec sleep 600")
    wait_for(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_bytes() == b"ready\n")
    assert name not in step.runner.attempts(boot_id()), "its owner sees to it"
    process.kill()
    process.wait(HANG)
    assert name in step.runner.attempts(boot_id())
    assert step.runner.clear(container_of(name))
    assert not _of(engine, name)
    for left in tmp_path.glob("shared-*"):  # goes with the run's directory
        subprocess.run(["rm", "-r", left], check=True)


def test_an_exception_in_the_waiting_thread_removes_the_container(
    worker: Any, engine: docker.APIClient, tmp_path: Path
) -> None:
    process, name = worker("echo ready; exec sleep 600")
    wait_for(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_bytes() == b"ready\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(HANG) == 5
    assert not _of(engine, name)


def test_what_cant_be_taken_out_is_an_error(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error", "there")

    monkeypatch.setattr("celeriac.container.docker.room._move_entry", fails)
    with pytest.raises(ContainerError, match="can't be taken out"):
        step.run(step.item("touch made"))
