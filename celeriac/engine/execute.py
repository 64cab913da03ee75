"""Execute attempts: claim them, run their tools one after another, report. No state is decided here."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from celeriac.container.base import CancelToken
from celeriac.engine.advance import settle
from celeriac.engine.passing import pass_on
from celeriac.engine.reports import Done, Reports
from celeriac.engine.room import Room, slot_with_room
from celeriac.engine.waiting import Waiting, offer
from celeriac.engine.work import Work, run_tool
from celeriac.errors import Cancelled, CeleriacError
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.journal import attempts, leases, runs
from celeriac.journal.tables import Record
from celeriac.resources import Resources
from celeriac.slots import Slot, bundle_name
from celeriac.states import AttemptState, NodeState, Outcome, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

Outputs = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """What came of a message: the outputs by attempt, as of :func:`execute`."""

    outputs: dict[str, Outputs]
    settled: bool = False  # what follows is under way: nobody needs the message that would settle it


def execute(engine: Engine, names: Sequence[str]) -> dict[str, Outputs]:
    """Run the tools of attempts, all of one run and with the same grant, and report; returns the outputs by attempt.

    One that is not in the answer was not there to be taken (a message that came late or twice), or did not
    succeed. Waits until this host has what was granted; till then another worker may claim them.
    """
    done, _ = _done(engine, names)
    if done is None:
        return {}
    done.tidy()
    return done.outputs


def execute_and_go_on(engine: Engine, names: Sequence[str]) -> Execution:
    """Execute attempts; then start what a plain step makes ready, two hops of the broker before its message would."""
    done, first = _done(engine, names)
    if done is None:
        return Execution({})
    settled = bool(done.outputs) and first.batch is None and _go_on(engine, first.run_id)
    done.tidy()
    return Execution(done.outputs, settled)


def _done(engine: Engine, names: Sequence[str]) -> tuple[Reports | None, Any]:
    """Execute attempts; return their reports and the first as it was offered, or None."""
    with engine.alone(names) as own:
        if engine.leases.ending:
            _pass_on(engine, own)
            return None, None
        offered = offer(engine, own) if own else []
        if not offered:
            log.debug("none of %s is there to be taken", ", ".join(names))
            return None, None
        done = _execute(engine, offered, Slot()) if offered[0].granted is None else _with_slot(engine, offered)
        return done, offered[0]


def _go_on(engine: Engine, run: str) -> bool:
    try:
        return settle(engine, run)
    except Exception as error:  # it is the scheduler's task, which has errors seen to
        log.debug("run %s is advanced later: %s", run, error)
        return False


def reported(engine: Engine, attempt: str) -> tuple[bool, Outputs | None]:
    """Return whether an attempt has ended, and with what outputs: for a message that came once more."""
    with engine.database.read() as connection:
        row = attempts.result(connection, attempt)
    ended = row is None or row.state not in (AttemptState.QUEUED, AttemptState.RUNNING)
    return ended, row.outputs if row is not None and ended else None


def _with_slot(engine: Engine, offered: Sequence[Record]) -> Reports | None:
    first, names = offered[0], [one.id for one in offered]
    granted, title, slot_name = Resources(**first.granted), first.path or first.name, bundle_name(names)
    options = engine.options(first.run_id, first.options)
    room = Room(engine, title, engine.directory(first.run_id, options))
    try:
        try:
            still = Waiting(engine, names, title, granted, room)
            slot = slot_with_room(engine, slot_name, granted, room, still)
        except CeleriacError as error:  # the host is too small or full, its ledger can't be used: the run has to say so
            return _execute(engine, offered, Slot(), error)
        if slot is not None:
            return _execute(engine, offered, slot)
    finally:
        engine.slots.give_back(slot_name)
    if engine.leases.ending:  # that is why it waits here no longer
        _pass_on(engine, names)
    return None


def _pass_on(engine: Engine, names: Sequence[str]) -> None:
    for name in names:
        pass_on(engine, name)


@dataclass(frozen=True)
class _Claims:
    """What this worker has claimed of a message."""

    run: Record
    work: Sequence[Work]
    lost: dict[str, list[str]]  # by attempt: earlier ones at the same step whose worker died here


def _execute(
    engine: Engine, offered: Sequence[Record], slot: Slot, problem: CeleriacError | None = None
) -> Reports | None:
    engine.reach("claim.before")
    claims = _claim(engine, offered)
    engine.reach("claim.after")
    if not claims.work:
        return None
    tokens = {one.claimed.id: engine.leases.watch(one.claimed.id) for one in claims.work}
    options = engine.options(claims.run.id, claims.run.options)
    reports = Reports(engine, options)
    go_on = True
    try:
        for place_in_line, one in enumerate(claims.work):
            attempt, token, began = one.claimed, tokens[one.claimed.id], time.monotonic()
            place = _place(engine, one, options)
            if problem is not None and _is_wanted(claims.run, one):
                report = JobReport(Outcome.INFRASTRUCTURE, error=problem)
            elif not go_on or not _is_wanted(claims.run, one):
                report = JobReport(Outcome.CANCELED)
            elif place_in_line and engine.leases.ending:
                report = JobReport(Outcome.HANDED_BACK)
            else:
                _clear(engine, claims.lost.get(attempt.id, ()))
                report, place = _run(engine, claims.run, one, place, token, slot)
                report = _handed_back(engine, report, token, one.title)
            go_on = go_on and (report.outcome is not Outcome.PERMANENT or options.on_error != "stop")
            reports.add(Done(attempt, one.title, report, place, token, began, time.monotonic()))
        reports.write()
    finally:
        for name in tokens:
            engine.leases.release(name)
    return reports


def _run(
    engine: Engine, run: Record, one: Work, place: Place, token: CancelToken, slot: Slot
) -> tuple[JobReport, Place]:
    """Run a tool in a temporary directory that it has after others; return what it has of its own, too."""
    options = engine.options(run.id, run.options)
    if options.keep_scratch:
        return run_tool(engine, run, one, place, token, slot), place
    directory = engine.directory(run.id, options)
    lent = replace(place, shared=engine.temporary.take(directory))
    report = run_tool(engine, run, one, lent, token, slot)
    # after a failure something of the tool may still be there
    kept = report.outcome is Outcome.SUCCESS and engine.temporary.keep(directory, lent.tmp)
    return report, place if kept else lent


def _claim(engine: Engine, offered: Sequence[Record]) -> _Claims:
    run_id = offered[0].run_id
    with engine.database.begin() as connection:
        names = [one.id for one in offered if one.run_id == run_id]
        claimed = attempts.claim(connection, names, engine.owner, engine.host, engine.settings.lease)
        run = runs.short(connection, run_id)
        nodes = attempts.work(connection, run_id, [one.path for one in claimed]) if claimed else {}
        notes = engine.notes(connection, run) if run is not None else None
        told = notes is not None and notes.claimed(nodes.values())
        lost = {
            one.id: leases.lost_here(connection, run_id, one.path, engine.host) for one in claimed if one.number > 1
        }
    if len(claimed) < len(offered):
        log.debug("%d of %d attempts are not there to be taken", len(offered) - len(claimed), len(offered))
    if told:
        engine.hint(run_id)
    assert run is not None
    return _Claims(run, [Work(one, nodes[one.path], one.path or run.name) for one in claimed], lost)


def _place(engine: Engine, one: Work, options: RunOptions) -> Place:
    attempt = one.claimed
    return Place(engine.place(attempt.run_id, attempt.path, attempt.id, options))


def _is_wanted(run: Record, one: Work) -> bool:
    return bool(run.state == RunState.RUNNING and one.node.state == NodeState.QUEUED)


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
