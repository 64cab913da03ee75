"""A broker and workers for as long as a block runs, all private: Redis, a journal, slots, a client."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery
from sqlalchemy import select

from benchmarks.measure import end_all
from benchmarks.runners import CHECKOUT
from benchmarks.verify import problem
from benchmarks.works import Case
from celeriac import run_workflow
from celeriac.client import run_of
from celeriac.journal.database import Database
from celeriac.journal.tables import Record, attempts, runs
from tests.services import redis_server
from tests.services.process import running

CORES = len(os.sched_getaffinity(0))
_CELERY = str(Path(sys.executable).with_name("celery"))


class Unavailable(Exception):
    """A server that a gauge needs can't be started here."""


class Failed(Exception):
    """A run on the cluster did not do its work."""


@dataclass(frozen=True)
class Cluster:
    """Where clients and workers meet. ``timeout``: how many seconds a client waits for what it has submitted."""

    folder: Path
    broker: str
    timeout: float

    @property
    def _settings(self) -> dict[str, str]:
        # An empty variable counts as none: what is measured are the defaults.
        unset = {name: "" for name in os.environ if name.startswith("CELERIAC_")}
        own = {"BROKER_URL": self.broker, "HOME": str(self._home), "SLOTS_DIR": str(self.folder / "slots")}
        return unset | {f"CELERIAC_{name}": value for name, value in own.items()}

    @property
    def _home(self) -> Path:
        return self.folder / "home"

    @contextmanager
    def worker(self, name: str, slots: int) -> Iterator[None]:
        """Run ``celery worker -Q default`` for so many steps at once; its log is ``worker-NAME.log``."""
        with self._celery(name, [], ["-Q", "default", "-c", str(slots)], self._settings):
            yield

    @contextmanager
    def plain_worker(self, processes: int) -> Iterator[Any]:
        """Run a worker of Celery alone on the same Redis, in another of its databases; yields its app."""
        from benchmarks.plain import app

        url = self.broker.removesuffix("/0") + "/1"
        app.conf.update(broker_url=url, result_backend=url)
        program = ["-A", "benchmarks.plain", "-b", url, "--result-backend", url]
        with self._celery("plain", program, ["-c", str(processes)], {}):
            yield app

    @contextmanager
    def _celery(
        self, name: str, program: Sequence[str], options: Sequence[str], settings: Mapping[str, str]
    ) -> Iterator[None]:
        log = self.folder / f"worker-{name}.log"
        # From the checkout, as a user starts it. `env -C` becomes the worker.
        argv = ["env", "-C", str(CHECKOUT), _CELERY, *program, "worker", "-n", f"{name}@%h", "-l", "info"]
        env = {**settings, "PYTHONUNBUFFERED": "1"}

        def ready() -> bool:
            return " ready." in log.read_text(errors="replace")

        with running([*argv, *options], ready=ready, log=log, env=env):
            yield

    @contextmanager
    def api(self) -> Iterator[str]:
        """Run ``celeriac api``, whose tools need no container; yields its address."""
        log = self.folder / "api.log"
        argv = [str(Path(sys.executable).with_name("celeriac")), "api", "--port", "0"]

        def address() -> str:
            found = re.search(r"listening on (http://[^\s,]+)", log.read_text(errors="replace"))
            return found[1] if found else ""

        env = {**self._settings, "CELERIAC_API_PROCESSES": "true"}
        with running(argv, ready=lambda: bool(address()), log=log, env=env):
            yield address()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Yield a program that submits runs, as others do: by the task's name."""
        app = Celery("client", broker=self.broker, backend=self.broker, set_as_current=False)
        try:
            yield Client(self, app)
        finally:
            app.close()

    def check(self, outputs: Any, case: Case) -> None:
        """Raise :class:`Failed` unless a run's outputs are what they must be."""
        if wrong := problem(json.dumps(outputs), case, self._home):
            raise Failed(wrong)

    def attempts(self, run: str) -> Sequence[Record]:
        """Return a run's attempts in the order of their starts."""
        return self._rows(select(attempts).where(attempts.c.run_id == run).order_by(attempts.c.started))

    def runs(self) -> dict[str, str]:
        """Return the state of each run in the journal."""
        return {row.id: row.state for row in self._rows(select(runs.c.id, runs.c.state))}

    def _rows(self, statement: Any) -> Sequence[Record]:
        database = Database(f"sqlite:///{self._home / 'journal.db'}")
        try:
            with database.read() as connection:
                return connection.execute(statement).all()  # type: ignore[no-any-return]
        finally:
            database.close()


@dataclass(frozen=True)
class Client:
    """Submits runs and waits for their outputs."""

    cluster: Cluster
    app: Any

    def submit(self, case: Case) -> Any:
        """Send a run; returns Celery's result of it."""
        job = json.loads(case.job.read_text())
        return run_workflow.bind(self.app).delay(str(case.document), job, basedir=str(case.job.parent))

    def outputs(self, results: Sequence[Any]) -> list[Any]:
        """Wait for the outputs of runs; raises what a run failed of, or Celery's TimeoutError."""
        deadline = time.monotonic() + self.cluster.timeout
        try:
            return [result.get(timeout=max(0.1, deadline - time.monotonic())) for result in results]
        finally:
            for result in results:
                result.backend = None  # one that goes unanswered would ask for Redis, which may have ended by then

    def run(self, case: Case) -> tuple[str, Any]:
        """Run a case to its end; returns the run's id and its outputs."""
        result = self.submit(case)
        return run_of(result.id), self.outputs([result])[0]


@contextmanager
def cluster(folder: Path, timeout: float) -> Iterator[Cluster]:
    """Yield a cluster without workers; nothing of it is left after. Raises :class:`Unavailable`."""
    if reason := redis_server.missing():
        raise Unavailable(reason)
    try:
        with redis_server.redis_server() as server:
            yield Cluster(folder, server.url, timeout)
    finally:
        end_all()  # what looks after dead workers ends by itself, a moment after them
