"""The reports of a worker: written as they come where work takes long, several in one commit where it does not."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.container.base import CancelToken
from celeriac.errors import CeleriacError, JournalUnavailable, StepFailed
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.journal import attempts
from celeriac.journal.tables import Record
from celeriac.states import Outcome

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: Seconds for which a report may wait for others: as much work is done again at most when the worker dies.
TOGETHER = 0.1


@dataclass(frozen=True)
class Done:
    """An attempt that this worker has done with, and its report."""

    claimed: Record
    title: str
    report: JobReport
    place: Place
    token: CancelToken
    began: float  # of time.monotonic()
    over: float


class Reports:
    """The reports on the attempts of one message; ``outputs`` has those of the successful ones that are written.

    What only the tools of the last ones needed is there until :meth:`tidy`: others may wait for the report, but
    nobody for that.
    """

    def __init__(self, engine: Engine, options: RunOptions) -> None:
        self.outputs: dict[str, dict[str, Any]] = {}
        self._engine = engine
        self._options = options
        self._waiting: list[Done] = []
        self._untidy: list[tuple[Done, JobReport]] = []

    def add(self, done: Done) -> None:
        """Take a report; it is written now if it is no success, or others have waited for long enough."""
        self._waiting.append(done)
        if done.report.outcome is not Outcome.SUCCESS or time.monotonic() - self._waiting[0].over >= TOGETHER:
            self.write()
            self.tidy()

    def write(self) -> None:
        """Write what waits. Raises :class:`~celeriac.errors.JournalUnavailable` once the leases are over."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._engine.reach("commit.before")
        written = self._written(waiting)
        self._engine.reach("commit.after")
        for done, report in zip(waiting, written, strict=True):
            self._engine.leases.release(done.claimed.id)
            if report is None:
                log.warning("attempt %s is no longer this worker's: its outputs are dropped", done.claimed.id)
                shutil.rmtree(done.place.root, ignore_errors=True)
                continue
            self._untidy.append((done, report))
            if report.outcome is Outcome.SUCCESS and report.outputs is not None:
                self.outputs[done.claimed.id] = report.outputs
        if any(done.claimed.batch is not None and done.report.outcome is not Outcome.SUCCESS for done in waiting):
            self._hurry(waiting[0].claimed.run_id)

    def tidy(self) -> None:
        """Remove what only the tools needed whose reports are written."""
        untidy, self._untidy = self._untidy, []
        for done, report in untidy:
            _tidy(done.place, self._options, done.title, report)

    def _hurry(self, run: str) -> None:
        """Have a scatter's failed item looked at now, not when the last one of its chord has ended."""
        try:
            self._engine.publisher.publish(run, "advance", {})
        except CeleriacError as error:
            log.debug("run %s is advanced later: %s", run, error)

    def _written(self, waiting: Sequence[Done]) -> list[JobReport | None]:
        """Return the reports as they were written; None for an attempt that is no longer this worker's.

        While the journal does not answer it waits, as long as the leases hold: the work is done.
        """
        while True:
            try:
                with self._engine.database.begin() as connection:
                    own = attempts.report(connection, self._engine.owner, [_row(done) for done in waiting])
                return [done.report if done.claimed.id in own else None for done in waiting]
            except JournalUnavailable as error:
                log.warning("the report of '%s' has to wait: %s", waiting[0].title, error)
                if waiting[0].token.wait(self._engine.settings.cancel_poll):
                    raise
            except Exception as error:  # a value that the database does not take, such as NaN
                if len(waiting) > 1:  # whose it is, is found one by one
                    return [report for done in waiting for report in self._written([done])]
                if waiting[0].report.outputs is None:
                    raise
                waiting = [_without_outputs(waiting[0], error)]


def _row(done: Done) -> attempts.Report:
    report, now = done.report, time.monotonic()
    return attempts.Report(
        attempt=done.claimed.id,
        outcome=report.outcome,
        exit_code=report.exit_code,
        outputs=report.outputs,
        error=report.error.to_dict() if report.error else None,
        directory=str(done.place.root),
        peak_memory=report.peak_memory,
        cpu_seconds=report.cpu_seconds,
        began=now - done.began,
        over=now - done.over,
        key=report.key,
        parts=report.parts,
        command=report.command,
    )


def _without_outputs(done: Done, error: Exception) -> Done:
    log.error("the outputs of %s can't be kept", done.title, exc_info=error)
    cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
    failure = StepFailed(f"the outputs of '{done.title}' can't be kept in the journal: {cause}")
    return replace(done, report=JobReport(Outcome.PERMANENT, error=failure, exit_code=done.report.exit_code))


def _tidy(place: Place, options: RunOptions, title: str, report: JobReport) -> None:
    """Remove what only the tool needed; its outputs and logs stay, and what it was given where it failed."""
    if options.log_dir:
        _copy_logs(place, Path(options.log_dir) / title)
    if options.keep_scratch:
        return
    failed = report.outcome not in (Outcome.SUCCESS, Outcome.CANCELED, Outcome.HANDED_BACK)
    with suppress(FileNotFoundError), os.scandir(place.root) as found:
        gone = [entry.path for entry in found if not failed and _is_given(entry.name)]
        for directory in gone:
            shutil.rmtree(directory, ignore_errors=True)
    if place.shared is not None:
        shutil.rmtree(place.shared, ignore_errors=True)


def _is_given(name: str) -> bool:
    """Whether a directory of an attempt has what it was given, by :class:`Place`, cwltool and ``job/stage.py``."""
    return name == "in" or name.startswith(("x", "lit"))


def _copy_logs(place: Place, goal: Path) -> None:
    try:
        goal.mkdir(parents=True, exist_ok=True)
        for source in (place.stdout, place.stderr):
            if source.exists():
                shutil.copy2(source, goal / source.name)
    except OSError as error:
        log.warning("the logs can't be copied to %s: %s", goal, error)
