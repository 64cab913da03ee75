"""Execute an attempt: claim it, run its tool, report. No state is decided here."""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.container.base import CancelToken
from celeriac.container.disk import is_full, no_room
from celeriac.document.load import Document
from celeriac.engine.passing import pass_on
from celeriac.engine.reuse import earlier
from celeriac.engine.room import Room, slot_with_room
from celeriac.engine.waiting import Waiting, offer
from celeriac.errors import Cancelled, CeleriacError, JournalUnavailable, StepFailed
from celeriac.graph.translate import short
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.job.request import JobRequest
from celeriac.journal import attempts, leases
from celeriac.journal.tables import Record
from celeriac.resources import QueueLimits, Resources
from celeriac.slots import Slot
from celeriac.states import AttemptState, NodeState, Outcome, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


def execute(engine: Engine, attempt: str) -> dict[str, Any] | None:
    """Run an attempt's tool and report; returns its output object.

    None: there was nothing to take (a message that came late or twice), or it did not succeed. Waits
    until this host has what the attempt was granted; till then another worker may claim it.
    """
    with engine.alone(attempt) as alone:
        if alone and engine.leases.ending:
            pass_on(engine, attempt)
            return None
        offered = offer(engine, attempt) if alone else None
        if offered is None:
            log.debug("attempt %s is not there to be taken", attempt)
            return None
        if offered.granted is None:
            return _execute(engine, attempt, Slot())
        return _with_slot(engine, attempt, offered)


def _with_slot(engine: Engine, attempt: str, offered: Record) -> dict[str, Any] | None:
    granted, title = Resources(**offered.granted), offered.path or offered.name
    options = engine.options(offered.run_id, offered.options)
    room = Room(engine, title, engine.directory(offered.run_id, options))
    try:
        try:
            slot = slot_with_room(engine, attempt, granted, room, Waiting(engine, attempt, title, granted, room))
        except CeleriacError as error:  # the host is too small or full, its ledger can't be used: the run has to say so
            return _execute(engine, attempt, Slot(), error)
        if slot is not None:
            return _execute(engine, attempt, slot)
    finally:
        engine.slots.give_back(attempt)
    if engine.leases.ending:  # that is why it waits here no longer
        pass_on(engine, attempt)
    return None


def _execute(engine: Engine, attempt: str, slot: Slot, problem: CeleriacError | None = None) -> dict[str, Any] | None:
    engine.reach("claim.before")
    with engine.database.begin() as connection:
        claimed = attempts.claim(connection, attempt, engine.owner, engine.host, engine.settings.lease)
        if claimed is None:
            log.debug("attempt %s is not there to be taken", attempt)
            return None
        work = attempts.work(connection, claimed.run_id, claimed.path)
        lost = leases.lost_here(connection, claimed.run_id, claimed.path, engine.host) if claimed.number > 1 else []
    engine.reach("claim.after")
    token = engine.leases.watch(attempt)
    options = engine.options(claimed.run_id, work.options)
    place = Place(engine.place(claimed.run_id, claimed.path, attempt, options))
    try:
        if work.run_state != RunState.RUNNING or work.node_state != NodeState.QUEUED:
            report = JobReport(Outcome.CANCELED)
        elif problem is not None:
            report = JobReport(Outcome.INFRASTRUCTURE, error=problem)
        else:
            _clear(engine, lost)
            report = _run(engine, claimed, work, options, place, token, slot)
        report = _handed_back(engine, report, token, claimed.path or work.name)
        engine.reach("commit.before")
        written = _report(engine, attempt, report, place, claimed.path or work.name, token)
        engine.reach("commit.after")
        if written is None:
            log.warning("attempt %s is no longer this worker's: its outputs are dropped", attempt)
            shutil.rmtree(place.root, ignore_errors=True)
            return None
    finally:
        engine.leases.release(attempt)
    _tidy(place, options, claimed.path or work.name, written)
    if claimed.batch is not None and written.outcome is not Outcome.SUCCESS:
        _hurry(engine, claimed.run_id)
    return written.outputs if written.outcome is Outcome.SUCCESS else None


def _clear(engine: Engine, lost: Sequence[str]) -> None:
    """End what dead workers left here of earlier attempts at the same step: two at once would share its inputs."""
    for attempt in lost:
        if not engine.jobs.clear(attempt):
            log.warning("something of the lost attempt %s may still run on this host", attempt)


def _handed_back(engine: Engine, report: JobReport, token: CancelToken, title: str) -> JobReport:
    """Say of a tool that was stopped because its worker ends that it is handed back: nobody cancelled it."""
    if report.outcome is not Outcome.CANCELED or not engine.leases.gave_back(token):
        return report
    error = Cancelled(f"'{title}' was stopped and handed back: {token.reason}", reason=token.reason)
    return replace(report, outcome=Outcome.HANDED_BACK, error=error)


def reported(engine: Engine, attempt: str) -> tuple[bool, dict[str, Any] | None]:
    """Return whether an attempt has ended, and with what outputs: for a message that came once more."""
    with engine.database.read() as connection:
        row = attempts.result(connection, attempt)
    ended = row is None or row.state not in (AttemptState.QUEUED, AttemptState.RUNNING)
    return ended, row.outputs if row is not None and ended else None


def _run(
    engine: Engine, claimed: Record, work: Record, options: RunOptions, place: Place, token: CancelToken, slot: Slot
) -> JobReport:
    try:
        document = engine.document(work.document)
        inputs = work.inputs or {}
        if work.idx is not None and _is_item(claimed.path):
            inputs = {**engine.inputs(claimed.run_id, work.opened, work.parent), **inputs}
        tool = document.tool(work.step)
        known = {short(port["id"]) for port in tool.tool["inputs"]}
        granted = Resources(**claimed.granted) if claimed.granted else None
        queue = _queue(engine, claimed, work)
        retry = document.graph.at(work.step).retry
        request = JobRequest(
            tool=tool,
            inputs={name: value for name, value in inputs.items() if name in known},
            place=place,
            options=options,
            name=claimed.id,
            title=claimed.path or work.name,
            granted=granted,
            limited=engine.limited,
            max_runtime=queue.max_runtime if queue else None,
            temporary=retry.exit_codes if retry else frozenset(),
            queue=claimed.queue,
            gpus=slot.gpus,
            labels={
                "celeriac.run": claimed.run_id,
                "celeriac.step": claimed.path,
                "celeriac.attempt": claimed.id,
                "celeriac.host": engine.boot,
                "celeriac.owner": engine.owner,
            },
            own=str(engine.directory(claimed.run_id, options)),
            digests=engine.digests,
            earlier=earlier(engine, claimed),
        )
        report = engine.jobs.run(request, token)
    except Exception as error:
        title = claimed.path or work.name
        if is_full(error):
            return JobReport(Outcome.INFRASTRUCTURE, error=no_room(f"'{title}' could not be run", place.root))
        log.error("attempt %s of '%s' failed by a fault of Celeriac's own: %r", claimed.id, title, error)
        failure = StepFailed(
            f"'{title}' could not be run: {type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),  # for the journal: a bug to be found
        )
        return JobReport(Outcome.INFRASTRUCTURE, error=failure)
    return _complete(report, document, claimed.path, work.step)


def _queue(engine: Engine, claimed: Record, work: Record) -> QueueLimits | None:
    queues = engine.queue_table(claimed.run_id, work.opened, work.queues)
    return next((queue for queue in queues if queue.name == claimed.queue), None)


def _complete(report: JobReport, document: Document, path: str, address: str) -> JobReport:
    """Fail a step whose process left out an output that the step names (CWL v1.2, WorkflowStepOutput)."""
    if not path or report.outcome is not Outcome.SUCCESS:
        return report
    scope, _, name = address.rpartition("/")
    steps = document.graph.at(scope).steps
    assert steps is not None
    missing = [port for port in steps[name].outputs if port not in (report.outputs or {})]
    if not missing:
        return report
    error = StepFailed(
        f"'{path}' gave no output '{missing[0]}', which its step names",
        hint="an output that may be missing has to be given as null",
    )
    return JobReport(Outcome.PERMANENT, error=error, exit_code=report.exit_code)


def _is_item(path: str) -> bool:
    return path.endswith("]")


def _hurry(engine: Engine, run: str) -> None:
    """Have a scatter's failed item looked at now, not when the last one of its chord has ended."""
    try:
        engine.publisher.publish(run, "advance", {})
    except CeleriacError as error:
        log.debug("run %s is advanced later: %s", run, error)


def _report(
    engine: Engine, attempt: str, report: JobReport, place: Place, title: str, token: CancelToken
) -> JobReport | None:
    """Return the report as it was written; None when the attempt is no longer this worker's.

    While the journal does not answer it waits, as long as the lease holds: the work is done.
    """
    while True:
        try:
            return report if _write(engine, attempt, report, place) else None
        except JournalUnavailable as error:
            log.warning("the report of '%s' has to wait: %s", title, error)
            if token.wait(engine.settings.cancel_poll):
                raise
        except Exception as error:  # a value that the database does not take, such as NaN
            if report.outputs is None:
                raise
            log.exception("the outputs of %s can't be kept", title)
            cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
            failure = StepFailed(f"the outputs of '{title}' can't be kept in the journal: {cause}")
            report = JobReport(Outcome.PERMANENT, error=failure, exit_code=report.exit_code)


def _write(engine: Engine, attempt: str, report: JobReport, place: Place) -> bool:
    with engine.database.begin() as connection:
        return attempts.report(
            connection,
            attempt,
            engine.owner,
            outcome=report.outcome,
            exit_code=report.exit_code,
            outputs=report.outputs,
            error=report.error.to_dict() if report.error else None,
            directory=str(place.root),
            peak_memory=report.peak_memory,
            cpu_seconds=report.cpu_seconds,
            key=report.key,
            parts=report.parts,
        )


def _tidy(place: Place, options: RunOptions, title: str, report: JobReport) -> None:
    """Remove what only the tool needed; its outputs and logs stay, and what it was given where it failed."""
    if options.log_dir:
        _copy_logs(place, Path(options.log_dir) / title)
    if options.keep_scratch:
        return
    given = (place.stage, *place.root.glob("x*"), *place.root.glob("lit*"))
    kept = () if report.outcome in (Outcome.SUCCESS, Outcome.CANCELED, Outcome.HANDED_BACK) else given
    for directory in {place.tmp, *given}.difference(kept):
        shutil.rmtree(directory, ignore_errors=True)


def _copy_logs(place: Place, goal: Path) -> None:
    try:
        goal.mkdir(parents=True, exist_ok=True)
        for source in (place.stdout, place.stderr):
            if source.exists():
                shutil.copy2(source, goal / source.name)
    except OSError as error:
        log.warning("the logs can't be copied to %s: %s", goal, error)
