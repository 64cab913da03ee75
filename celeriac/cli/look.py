"""What the commands that look at runs share: the journal, finding a run, times, JSON."""

from __future__ import annotations

import difflib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.errors import CeleriacError, NotFoundError, UsageError, from_dict

if TYPE_CHECKING:
    from sqlalchemy import Row

    from celeriac.job.place import Place
    from celeriac.journal.database import Database
    from celeriac.settings import Settings


@contextmanager
def journal() -> Iterator[tuple[Settings, Database]]:
    """Open the journal that the settings name; nothing else is needed to look at runs."""
    from celeriac.journal.database import Database
    from celeriac.settings import Settings

    settings = Settings.load()
    database = Database(settings.journal, settings.connect_timeout)
    try:
        yield settings, database
    finally:
        database.close()


def find(database: Database, given: str) -> Row[Any]:
    """Return the run of this id, or the only one whose id starts so.

    Raises :class:`~celeriac.errors.NotFoundError` and, for a beginning that several have,
    :class:`~celeriac.errors.UsageError`.
    """
    from celeriac.journal import runs

    if not given:
        raise UsageError("the run's id is empty", hint="`celeriac list` shows the runs")
    with database.read() as connection:
        found = runs.get(connection, given)
        if found is not None:
            return found
        ids = runs.find(connection, given)
        found = runs.get(connection, ids[0]) if len(ids) == 1 else None
    if found is not None:
        return found
    if not ids:
        raise NotFoundError(f"there is no run {given!r}", hint="`celeriac list` shows the runs", run=given)
    raise UsageError(
        f"{given!r} is the beginning of several runs' ids: {ids[0]}, {ids[1]}",
        hint="give more of the id",
        run=given,
    )


def unknown_step(database: Database, run: str, path: str) -> NotFoundError:
    """Return the error for a path that none of a run's nodes has."""
    from celeriac.journal import views

    with database.read() as connection:
        names = views.step_names(connection, run)
    near = difflib.get_close_matches(path, names, 1)
    return NotFoundError(
        f"run {run} has no step {path!r}, or its turn has not come",
        hint=f"did you mean {near[0]}?" if near else f"`celeriac status {run}` shows its steps",
        run=run,
        step=path,
    )


def error_of(row: Any) -> CeleriacError | None:
    """Return the error that a run, node or attempt has, or None."""
    return from_dict(row.error) if row.error else None


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON value and a newline to standard output."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, indent=indent, ensure_ascii=not utf8), flush=True)


def iso(seconds: float | None) -> str | None:
    """Return a time of the journal in UTC as ISO 8601 with milliseconds, for programs."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def when(seconds: float | None) -> str:
    """Return a time of the journal in the user's time zone, for people."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def duration(seconds: float | None) -> str:
    """Return a duration for people: 0.4s, 42s, 3m05s, 2h10m, 4d02h."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part:02d}{small}"
    return f"{whole}s"


def between(start: float | None, end: float | None) -> float | None:
    """Return the seconds between two times of the journal, None when one is not there."""
    return None if start is None or end is None else max(0.0, end - start)


class RunFiles:
    """Where a run's attempts keep their files, as this host's settings have it."""

    def __init__(self, settings: Settings, row: Row[Any]) -> None:
        from celeriac.job.options import RunOptions

        self.run: str = row.id
        self._runs = settings.runs
        self.options = RunOptions.from_json(row.options)

    @property
    def directory(self) -> Path:
        """The run's own directory."""
        from celeriac.job.place import run_directory

        return run_directory(self._runs, self.run, self.options)

    def place(self, row: Any) -> Place | None:
        """Return the directories of a job's current attempt; None before a worker has claimed it."""
        if row.attempt is None or row.started is None:
            return None
        return self.of_attempt(row.path, row.attempt, row.directory)

    def of_attempt(self, path: str, attempt: str, directory: str | None) -> Place:
        """Return the directories of an attempt; ``directory`` is what its worker wrote at its end, if it has."""
        from celeriac.job.place import Place, attempt_directory

        if directory:
            return Place(Path(directory))
        return Place(attempt_directory(self._runs, self.run, path, attempt, self.options))
