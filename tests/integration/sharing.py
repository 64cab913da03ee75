"""Commands of one scattered step that share a container of a real engine."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker

from celeriac.container.base import CancelToken, Command, ContainerSpec, ExitReport, Image, Mount, Sharing
from celeriac.container.docker import DockerRunner
from celeriac.container.owner import owner_labels
from celeriac.names import container_of
from tests.unit.test_container_contract import wait_for

#: Where inputs are in a container.
INPUTS = "/var/lib/cwl"
#: Which container it is.
WHICH = "cat /etc/hostname"

Start = Callable[[Command, CancelToken], "Future[ExitReport]"]


class Step:
    """The commands of one scattered step, each with directories of its own."""

    def __init__(self, root: Path, runner: DockerRunner, engine: docker.APIClient) -> None:
        self.root = root
        self.runner = runner
        self.engine = engine
        self.label = f"test-{time.monotonic_ns()}"
        self._numbers = itertools.count()

    def item(self, script: str, *inputs: Mount, group: str = "step", **changes: Any) -> Command:
        """Return the next command."""
        number = next(self._numbers)
        own = self.root / f"item-{number}"
        for name in ("out", "tmp"):
            (own / name).mkdir(parents=True)
        attempt = f"{self.label}-{number}"
        labels = {"celeriac.run": self.label, "celeriac.attempt": attempt, **owner_labels()}
        mounts = (Mount(str(own / "out"), "/work", True), Mount(str(own / "tmp"), "/tmp", True), *inputs)
        spec = ContainerSpec(
            Image("alpine"),
            mounts,
            user=f"{os.geteuid()}:{os.getegid()}",
            labels=labels,
            sharing=Sharing(f"{self.label}/{group}", (own,), self.root, INPUTS),
        )
        of_spec = {name: changes.pop(name) for name in list(changes) if hasattr(spec, name)}
        command = Command(
            name=container_of(attempt),
            argv=("sh", "-c", script),
            env={"HOME": "/work", "TMPDIR": "/tmp"},
            workdir="/work",
            stdout=own / "stdout.log",
            stderr=own / "stderr.log",
            container=replace(spec, **of_spec),
        )
        return replace(command, **changes)

    def run(self, command: Command, token: CancelToken | None = None) -> ExitReport:
        return self.runner.run(command, token or CancelToken())

    def says(self, script: str, *inputs: Mount, **changes: Any) -> str:
        """Run a command to a good end; return what it prints."""
        command = self.item(script, *inputs, **changes)
        assert self.run(command).exit_code == 0, command.stderr.read_text()
        return command.stdout.read_text().strip()

    def containers(self) -> list[dict[str, Any]]:
        return self.engine.containers(all=True, filters={"label": f"celeriac.run={self.label}"})


def own(command: Command) -> Path:
    """Return a command's own directory."""
    return command.stdout.parent


@contextmanager
def sharing(url: str, engine: docker.APIClient, root: Path) -> Iterator[Step]:
    """Yield a step; at the end nothing of it may be left."""
    runner = DockerRunner(url, stop_grace=0.5)
    step = Step(root, runner, engine)
    yield step
    runner.close()
    assert not step.containers()
    assert not list(root.glob("shared-*"))


@contextmanager
def starting(step: Step) -> Iterator[Start]:
    """Yield what runs a command that writes ``ready``, and returns when it has."""

    def begin(command: Command, token: CancelToken) -> Future[ExitReport]:
        future = pool.submit(step.run, command, token)
        wait_for(lambda: future.done() or (command.stdout.exists() and b"ready" in command.stdout.read_bytes()))
        return future

    with ThreadPoolExecutor() as pool:
        yield begin
