"""Real workers, started from the checkout as people start them, and a look into their journal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any, TypeVar

from sqlalchemy import select

from celeriac.journal import runs, views
from celeriac.journal.database import Database
from celeriac.journal.tables import Record, attempts
from celeriac.settings import Settings
from tests.acceptance.commands import HANG, Desk
from tests.services.process import running

T = TypeVar("T")
CHECKOUT = Path(__file__).parents[2]
CELERY = str(Path(sys.executable).with_name("celery"))

_ECHO = """\
cwlVersion: v1.2
class: CommandLineTool
requirements: {InlineJavascriptRequirement: {}, NEEDS}
baseCommand: [printf, "%s."]
inputs: {message: {type: string, inputBinding: {}}}
stdout: out.txt
outputs:
  out: {type: string, outputBinding: {glob: out.txt, loadContents: true, outputEval: "$(self[0].contents)"}}
"""


def echo(needs: str = "") -> str:
    """Return a tool whose output is its input and a dot; ``needs`` are more requirements."""
    return _ECHO.replace("NEEDS", needs)


@dataclass
class Site:
    """A desk that shares broker and journal with its workers."""

    desk: Desk
    _shown: dict[Path, int] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of desk and workers."""
        return Settings.load(self.desk.environment(), self.desk.directory)

    def write(self, **documents: str) -> None:
        """Write documents: ``wf="..."`` becomes ``wf.cwl``."""
        for name, body in documents.items():
            (self.desk.directory / f"{name}.cwl").write_text(body)

    @contextmanager
    def worker(self, name: str, *options: str) -> Iterator[Popen[bytes]]:
        """Run `celery worker OPTIONS` in the checkout till the end of the block; it takes tasks from the start on."""
        log = self.desk.directory / f"worker-{name}.log"
        # `env -C` becomes the worker: its id is the process's. It would ask for a second who else is there.
        argv = ["env", "-C", str(CHECKOUT), CELERY, "worker", "-n", f"{name}@%h", "-l", "info", "--without-mingle"]
        argv += options
        env = {**self.desk.environment(), "PYTHONUNBUFFERED": "1"}
        with running(argv, ready=lambda: " ready." in log.read_text(errors="replace"), log=log, env=env) as process:
            yield process

    def show_logs(self) -> None:
        """Print what the workers said since the last time: pytest shows it when a test failed."""
        for log in sorted(self.desk.directory.glob("*.log")):
            text = log.read_text(errors="replace")
            print(f"--- {log.name}\n{text[self._shown.get(log, 0) :][-6000:]}")
            self._shown[log] = len(text)

    # --- the journal ----------------------------------------------------------------------------

    @contextmanager
    def _journal(self) -> Iterator[Any]:
        database = Database(self.settings.journal)
        try:
            with database.read() as connection:
                yield connection
        finally:
            database.close()

    def run(self, run: str) -> Record:
        """Return a run's row."""
        with self._journal() as connection:
            row = runs.get(connection, run)
        assert row is not None
        return row

    def runs(self) -> list[str]:
        """Return the ids of all runs, newest first."""
        with self._journal() as connection:
            return [str(row.id) for row in runs.recent(connection, 1000)]

    def newest(self) -> str:
        """Return the id of the newest run."""
        return self.runs()[0]

    def attempts(self, run: str) -> Sequence[Record]:
        """Return a run's attempts, oldest first."""
        with self._journal() as connection:
            statement = select(attempts).where(attempts.c.run_id == run)
            return connection.execute(statement.order_by(attempts.c.created, attempts.c.path)).all()  # type: ignore[no-any-return]

    def states(self, run: str) -> dict[str, str]:
        """Return the states of a run's jobs."""
        with self._journal() as connection:
            return {row.path: str(row.state) for row in views.jobs(connection, run)}

    def submit(self, *words: str) -> str:
        """Submit a run; returns its id."""
        return self.desk("submit", "--no-container", *words).stdout.strip()

    def ended(self, run: str) -> Record:
        """Wait for a run's end; return its row."""
        return until(lambda: row if (row := self.run(run)).ended else None, f"run {run} does not end")


def until(what: Callable[[], T | None], otherwise: str, patience: float = HANG) -> T:
    """Return what a question is answered with at last; fails when it never is."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(otherwise)


def processes(word: str) -> list[int]:
    """Return the ids of all processes that have a word on their command line."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
            state = (directory / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it has ended
        if word.encode() in words and state != "Z" and int(directory.name) != os.getpid():
            found.append(int(directory.name))
    return found
