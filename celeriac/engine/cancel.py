"""Cancel a run: queued work never starts, running tools are stopped by their own workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac.engine.finish import end
from celeriac.engine.turn import Turn
from celeriac.errors import RunCancelled
from celeriac.journal import attempts, runs
from celeriac.states import RUN_ENDED, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


def cancel(engine: Engine, run: str, reason: str = "it was asked for") -> str | None:
    """Cancel a run; returns its state, or None when there is no such run.

    To cancel twice, or what has ended, changes nothing and is no error.
    """
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None:
            return None
        if RunState(row.state) in RUN_ENDED or row.state == RunState.CANCELING:
            return str(row.state)
        turn = Turn(engine, connection, row)
        turn.error = RunCancelled(f"the run was cancelled: {reason}").to_dict()
        runs.change(connection, run, turn.state, RunState.CANCELING, error=turn.error)
        turn.state = RunState.CANCELING
        turn.cancel_queued()
        if attempts.open_count(connection, run) == 0:
            end(turn)
        state = turn.state
        messages = turn.flush()
    engine.send(run, messages)
    if state in RUN_ENDED:
        engine.on_end(run)
    return str(state)
