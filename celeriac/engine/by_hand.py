"""States that somebody set in the database by hand: tools stop within seconds, the run goes on from there.

Who ends a run or a node by the rules notes the time in the same statement. So an end without a time is
somebody's own: it is taken over, with all that follows from it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celeriac.engine.conclusions import conclude
from celeriac.engine.finish import cut_short, tell
from celeriac.engine.lost import replace
from celeriac.engine.stop import stop_below
from celeriac.engine.turn import Ended, Turn
from celeriac.errors import RunCancelled, RunFailed, StepFailed
from celeriac.journal import attempts, leases, nodes, runs
from celeriac.states import RUN_ENDED, AttemptState, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


def adopt_run(engine: Engine, run: str) -> None:
    """End a run whose state somebody set to an end, once nothing of it runs any more."""
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None or RunState(row.state) not in RUN_ENDED:
            return
        turn = Turn(engine, connection, row)
        turn.cancel_queued()
        leases.expire(connection, run)
        conclude(turn, attempts.reported(connection, run))
        if attempts.open_count(connection, run) > 0:  # their workers stop them just now
            return
        log.warning("run %s was set %s in the database", run, row.state)
        cut_short(turn)
        runs.note_end(connection, run, error=row.error or _error_of(turn))
        tell(turn, turn.state)
        messages = turn.flush()
    engine.send(run, messages)
    engine.on_end(run)


def _error_of(turn: Turn) -> dict[str, Any] | None:
    if turn.state is RunState.SUCCESS:
        return None
    kind = RunCancelled if turn.state is RunState.CANCELED else RunFailed
    return kind(f"the run was set {turn.state} in the database").to_dict()


def adopt_nodes(turn: Turn) -> None:
    """Carry on from the steps of a run whose state, or whose attempt's state, somebody set to an end."""
    ended = []
    for node in nodes.set_by_hand(turn.connection, turn.id):
        log.warning("step %s of run %s was set %s in the database", node.path, turn.id, node.state)
        stop_below(turn, node.path)
        error = node.error or _step_error(node.path, f"was set {node.state} in the database")
        nodes.note_end(turn.connection, turn.id, [node.path], error=error)
        ended.append(Ended(node.path, node.parent, node.step, NodeState(node.state), error))
    for node in nodes.orphans(turn.connection, turn.id):
        if node.attempt_state == AttemptState.LOST:
            replace(turn, node)
            continue
        error = _step_error(node.path, f"has an attempt that was set {node.attempt_state} in the database")
        nodes.change(turn.connection, turn.id, [node.path], NodeState.FAILED, error=error)
        ended.append(Ended(node.path, node.parent, node.step, NodeState.FAILED, error))
    turn.ended(ended)


def _step_error(path: str, what: str) -> dict[str, Any]:
    return StepFailed(f"'{path}' {what}").to_dict()
