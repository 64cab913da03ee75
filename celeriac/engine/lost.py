"""Attempts whose worker is gone: the next one goes out, or the step has failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from celeriac.container.process_name import is_dead
from celeriac.engine.conclusions import again, judge, times
from celeriac.engine.turn import Ended, Turn
from celeriac.errors import WorkerLost
from celeriac.journal import leases, nodes, runs
from celeriac.journal.tables import Record
from celeriac.scheduler.retry import Cause, Verdict
from celeriac.states import RUN_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


def lose(engine: Engine, attempt: str) -> bool:
    """Give up an attempt whose process on this host has died, without waiting for its lease; tell whether it was.

    Changes nothing while that process may live, and when the attempt has ended.
    """
    with engine.database.read() as connection:
        found = leases.running(connection, attempt)
    if found is None or not is_dead(found.owner, engine.host):
        return False
    with engine.database.begin() as connection:
        row = runs.lock(connection, found.run_id)
        gone = leases.lose(connection, attempt, found.owner)
        if row is None or gone is None or RunState(row.state) in RUN_ENDED:
            return False
        turn = Turn(engine, connection, row)
        replace(turn, gone)
        messages = turn.flush()
    engine.send(found.run_id, messages)
    return True


def lose_dead(engine: Engine, run: str) -> None:
    """Give up a run's attempts whose processes on this host have died."""
    with engine.database.read() as connection:
        found = leases.owners(connection, run, engine.host)
    for attempt in found:
        lose(engine, attempt.id)


def replace(turn: Turn, gone: Record) -> None:
    """Go on with a step whose attempt is lost."""
    node = nodes.get(turn.connection, turn.id, gone.path)
    if node is None or node.attempt != gone.id or node.state != NodeState.QUEUED:
        return
    log.warning("attempt %s of %s is lost: its worker %s is gone", gone.number, gone.path or turn.run.name, gone.owner)
    verdict, pause = judge(turn, Cause.LOST, gone)
    if verdict is Verdict.RETRY and again(turn, gone, verdict, pause):
        return
    error = WorkerLost(
        f"'{gone.path or turn.run.name}' was lost {times(turn, Cause.LOST, gone) + 1} times: "
        "the worker that ran it stopped answering",
        hint="look into the workers' logs; was the host out of memory, or restarted?",
    ).to_dict()
    nodes.change(turn.connection, turn.id, [gone.path], NodeState.FAILED, error=error)
    turn.ended([Ended(gone.path, node.parent, node.step, NodeState.FAILED, error)])
