"""The scan: repairs what a lost message or a dead worker left behind. One process at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from celeriac.engine.advance import advance
from celeriac.engine.dispatch import send_alone
from celeriac.engine.turn import Ended, Turn
from celeriac.errors import StepFailed, UnavailableError
from celeriac.journal import attempts, nodes, outbox, runs
from celeriac.journal.tables import Record
from celeriac.scheduler.retry import Verdict
from celeriac.states import RUN_ENDED, NodeState, Outcome, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: Attempts looked at for lost messages, per run and scan.
PORTION = 256


def scan(engine: Engine) -> bool:
    """Look through all open runs; False when another process does so now."""
    interval = engine.settings.scan_interval
    with engine.database.begin() as connection:
        if not outbox.lock(connection, "scan", engine.owner, interval * 4):
            return False
        forgotten = outbox.overdue(connection, interval)
        open_runs = runs.open_runs(connection)
    for row in forgotten:
        with _apart(row.run_id):
            engine.send(row.run_id, [(row.id, (row.kind, row.payload))])
    for run in open_runs:
        with _apart(run):
            _lost(engine, run)
            advance(engine, run)
    return True


@contextmanager
def _apart(run: str) -> Iterator[None]:
    """Keep the trouble of one run from the others; what is not there at all is everybody's."""
    try:
        yield
    except UnavailableError:
        raise
    except Exception:
        log.exception("run %s can't be looked after and is tried again", run)


def _lost(engine: Engine, run: str) -> None:
    """Turn expired leases into the next attempt, and publish again what nobody claimed."""
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None or RunState(row.state) in RUN_ENDED:
            return
        turn = Turn(engine, connection, row)
        for gone in attempts.expire(connection, run):
            _replace(turn, gone)
        if not turn.halted:
            for late in attempts.unclaimed(connection, run, engine.settings.lease, PORTION):
                send_alone(turn, late._mapping)
        messages = turn.flush()
    engine.send(run, messages)


def _replace(turn: Turn, gone: Record) -> None:
    node = nodes.get(turn.connection, turn.id, gone.path)
    if node is None or node.attempt != gone.id:
        return
    log.warning("attempt %s of %s is lost: its worker %s is gone", gone.number, gone.path, gone.owner)
    verdict = turn.judge(Outcome.INFRASTRUCTURE, gone)
    if verdict is Verdict.RETRY and turn.again(gone, verdict):
        return
    times = attempts.failures(turn.connection, turn.id, gone.path, Outcome.INFRASTRUCTURE)
    error = StepFailed(
        f"'{gone.path}' was lost {times} times: the worker that ran it stopped answering",
        hint="look into the workers' logs; was the host out of memory, or restarted?",
    ).to_dict()
    nodes.change(turn.connection, turn.id, [gone.path], NodeState.FAILED, error=error)
    turn.ended([Ended(gone.path, node.parent, node.step, NodeState.FAILED, error)])
