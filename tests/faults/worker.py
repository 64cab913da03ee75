"""One `celery worker`: started from the checkout, killed in many ways, started again as a supervisor would."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from signal import Signals
from subprocess import Popen, TimeoutExpired

import psutil

from celeriac.container.procfs import environment
from celeriac.container.tree import MARK
from tests.acceptance.workers import CELERY, CHECKOUT
from tests.faults.journal import until
from tests.services.process import running

#: Seconds within which a worker that was asked to end must have ended: Celery's soft time of 30 s and its own.
END = 60.0


class Worker:
    """A worker and those that took its place. To be used in the test's main thread."""

    def __init__(
        self, name: str, directory: Path, options: Sequence[str], env: Mapping[str, str], wrapper: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._directory = directory
        self._options = options
        self._env = {**env, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
        self._wrapper = wrapper
        self._stack = ExitStack()
        self._process: Popen[bytes] | None = None
        self.starts = 0

    @property
    def log(self) -> Path:
        """What the newest one says."""
        return self._directory / f"worker-{self.name}-{self.starts}.log"

    @property
    def pid(self) -> int:
        """The main process; it leads a session and a group of its own."""
        assert self._process is not None
        return self._process.pid

    @property
    def children(self) -> list[psutil.Process]:
        """The prefork children of the main process; the tools that run are left out."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid).children()
            return [child for child in found if not _is_tool(child.pid) and _group(child.pid) == self.pid]
        return []

    @property
    def is_alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, or one in the place of the one that is dead; does not wait till it takes tasks."""
        self.starts += 1
        # `env -C` becomes the worker: its id is the process's
        argv = ["env", "-C", str(CHECKOUT), *self._wrapper, CELERY, "worker", "-n", f"{self.name}@%h", "-l", "info"]
        self._process = self._stack.enter_context(
            running([*argv, *self._options], ready=lambda: True, log=self.log, env=self._env, patience=END)
        )

    def ready(self) -> None:
        """Wait till it takes tasks; fails when it ends, or never does."""

        def look() -> bool:
            said = self.log.read_text(errors="replace")
            assert self.is_alive or " ready." in said, f"worker {self.name} has ended:\n{said}"
            return " ready." in said

        until(look, f"worker {self.name} is not ready")

    def send(self, number: Signals) -> None:
        """Send a signal to the main process alone."""
        os.kill(self.pid, number)

    def send_all(self, number: Signals) -> None:
        """Send a signal to the main process and its children at once."""
        os.killpg(self.pid, number)

    def wait(self, patience: float = END) -> int:
        """Wait for the main process's end; returns its exit code. Fails when it does not end."""
        assert self._process is not None
        try:
            return self._process.wait(patience)
        except TimeoutExpired:
            raise AssertionError(f"worker {self.name} does not end within {patience:.0f} s") from None

    def ask_to_end(self) -> None:
        """Have it end in order; does not wait."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                self.send_all(Signals.SIGCONT)
                self.send(Signals.SIGTERM)

    def close(self) -> None:
        """End all that there is of it, by force if it has to be."""
        self._stack.close()


def _is_tool(pid: int) -> bool:
    return any(entry.startswith(MARK.encode() + b"=") for entry in environment(pid))


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
