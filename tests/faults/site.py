"""A site: broker, journal, engine and real workers of a test's own, with times so short that it heals in seconds."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from celeriac.errors import JournalUnavailable
from celeriac.failpoints import NAMES
from celeriac.journal.tables import Record
from celeriac.settings import EMBEDDED, Settings
from tests.acceptance.commands import Desk
from tests.faults.journal import HANG, View, until
from tests.faults.remains import remove
from tests.faults.servers import Restartable
from tests.faults.worker import Worker
from tests.faults.workflow import Reference
from tests.integration.cluster import new_database

#: Seconds, so that a worker that died is noticed in a moment.
TIMES = {"LEASE": "6", "HEARTBEAT": "1", "SCAN_INTERVAL": "2", "CANCEL_POLL": "0.5", "RETRY_DELAY": "0.2"}


@dataclass
class Site:
    """What a fault is done to. Workers are started by :meth:`worker`, and ended at the end of the test."""

    desk: Desk
    view: View
    broker: Restartable
    docker: str  # the engine's URL
    workers: list[Worker] = field(default_factory=list)
    supervised: bool = False  # a worker that is dead is started again while the test waits for a run's end

    @property
    def settings(self) -> Settings:
        """The settings of the commands and workers."""
        return Settings.load(self.desk.environment(), self.desk.directory)

    @property
    def embedded(self) -> Desk:
        """The same desk, where `celeriac run` is scheduler and worker itself."""
        return replace(self.desk, env={**self.desk.env, "CELERIAC_BROKER_URL": EMBEDDED})

    def start(self, *names: str) -> list[Worker]:
        """Start several workers at once, and wait till they take tasks."""
        made = [self.worker(name, wait=False) for name in names]
        for worker in made:
            worker.ready()
        return made

    def worker(
        self, name: str, *options: str, wrapper: Sequence[str] = (), wait: bool = True, **settings: str
    ) -> Worker:
        """Start a worker of the queue ``default``, two steps at once unless ``options`` say otherwise.

        ``settings`` are its own: ``LEASE="9"``. ``wrapper`` are words before its command.
        """
        env = {**self.desk.environment(), **{f"CELERIAC_{key}": value for key, value in settings.items()}}
        chosen = options or ("-Q", "default", "-c", "2")
        made = Worker(name, self.desk.directory, chosen, env, wrapper)
        self.workers.append(made)
        made.start()
        if wait:
            made.ready()
        return made

    def submit(self, what: Reference, *words: str) -> str:
        """Submit the reference workflow; returns the run's id."""
        document, job = self.write("reference", what.document), self.write("job", what.job)
        options = () if what.containers else ("--no-container",)
        return self.desk("submit", *options, *words, str(document), str(job)).stdout.strip()

    def submit_tool(self, tool: Mapping[str, object], job: Mapping[str, object], *words: str) -> str:
        """Submit any other document; returns the run's id."""
        return self.desk("submit", *words, str(self.write("tool", tool)), str(self.write("job", job))).stdout.strip()

    def write(self, name: str, value: object) -> Path:
        """Write a value as JSON, under a name of its own."""
        path = self.desk.directory / f"{name}-{secrets.token_hex(3)}.json"
        path.write_text(json.dumps(value))
        return path

    def arm(self, point: str) -> Path:
        """Have the next process that reaches a failpoint die there; its file is gone then."""
        assert point.partition(".")[0] in NAMES
        path = self.desk.directory / "failpoints" / f"{point}.{secrets.token_hex(3)}"
        path.touch()
        return path

    # --- waiting ----------------------------------------------------------------------------------

    def ended(self, run: str, patience: float = HANG) -> Record:
        """Wait for a run's end; return its row."""

        def look() -> Record | None:
            self.tend()
            row = self.view.run(run)
            return row if row.ended else None

        return until(look, f"run {run} does not end", patience)

    def tend(self) -> None:
        """Start workers again that are dead, where there is a supervisor."""
        for worker in self.workers:
            if self.supervised and not worker.is_alive:
                worker.start()

    def running(self, run: str, number: int = 1) -> list[Record]:
        """Wait until so many of a run's steps run at once; return their attempts."""

        def look() -> list[Record] | None:
            found = self.view.running(run)
            return found if len(found) >= number else None

        return until(look, f"run {run} has no {number} steps at work", pause=0.02)

    def done(self, run: str, number: int, patience: float = HANG) -> None:
        """Wait until so many of a run's steps have succeeded."""
        otherwise = f"run {run} has no {number} steps that succeeded"
        until(lambda: self.view.done(run) >= number, otherwise, patience, pause=0.02)

    def worker_of(self, attempt: Record) -> Worker:
        """Return the worker whose child runs an attempt."""
        child = process_of(attempt)
        return next(one for one in self.workers if child in {process.pid for process in one.children})

    def said(self) -> str:
        """Return the workers' last words."""
        return "\n".join(f"--- {log.name}\n{_tail(log)}" for log in self._logs())

    def was_said(self, what: str) -> bool:
        """Whether any worker has ever said it."""
        return any(what in log.read_text(errors="replace") for log in self._logs())

    def _logs(self) -> list[Path]:
        return sorted(self.desk.directory.glob("worker-*.log"))


def process_of(attempt: Record) -> int:
    """Return the prefork child that runs an attempt."""
    return int(attempt.owner.split(":")[1])


def busy(site: Site, what: Reference, run: str) -> tuple[Worker, list[str]]:
    """Wait until a worker has a step at work in the middle of a run; return it with all that it runs."""
    site.done(run, what.size // 4)
    worker = site.worker_of(site.running(run)[0])
    children = {child.pid for child in worker.children}
    return worker, [attempt.id for attempt in site.view.running(run) if process_of(attempt) in children]


def begun(site: Site, run: str) -> bool:
    """Whether a tool of a run has said something."""
    return any(log.read_text() for log in (site.settings.runs / run).glob("*/stderr.log"))


def _tail(log: Path, lines: int = 100) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def site(
    directory: Path, broker: Restartable, docker: str, *, journal: str = "", **settings: str
) -> Iterator[Site]:
    """Yield a site without workers in a directory; ``journal`` is a database's URL, SQLite if it is left out."""
    (directory / "failpoints").mkdir(parents=True)
    own = {**TIMES, "BROKER_URL": broker.url, "DOCKER_HOST": docker, "FAILPOINTS": str(directory / "failpoints")}
    if journal:
        own["JOURNAL_URL"] = journal
    own |= settings
    desk = Desk(directory, {f"CELERIAC_{key}": value for key, value in own.items()})
    desk.home.mkdir()
    view = View(Settings.load(desk.environment(), directory).journal)
    made = Site(desk, view, broker, docker)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.ask_to_end()
        for worker in made.workers:
            worker.close()
        with suppress(JournalUnavailable):  # its server may have ended before
            remove(docker, view.runs(), view.attempt_names())
        view.close()


def fresh_database(url: str) -> str:
    """Make a database on a server for one site; returns its URL."""
    return new_database(url, f"site_{secrets.token_hex(4)}")


def execute(url: str, statement: str) -> None:
    """Do something to a PostgreSQL, as its operator would."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]
