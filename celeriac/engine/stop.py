"""Stop one step of a run: its tools die, the run's ``--on-error`` rule decides the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac.engine.advance import close
from celeriac.engine.finish import finish
from celeriac.engine.turn import Ended, Turn
from celeriac.errors import StepFailed
from celeriac.journal import attempts, nodes, runs
from celeriac.states import NODE_ENDED, RUN_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


def cancel_step(engine: Engine, run: str, path: str, reason: str = "it was asked for") -> str | None:
    """Mark a step failed, with all below it; returns its state, or None when there is no such run or step.

    What waits never starts, what runs is stopped by its worker. To cancel twice, or what has ended, changes
    nothing and is no error.
    """
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        node = nodes.get(connection, run, path) if row is not None else None
        if row is None or node is None:
            return None
        if RunState(row.state) in RUN_ENDED or NodeState(node.state) in NODE_ENDED:
            return str(node.state)
        turn = Turn(engine, connection, row)
        error = StepFailed(f"'{path or row.name}' was cancelled: {reason}").to_dict()
        stop_below(turn, path)
        nodes.change(connection, run, [path], NodeState.FAILED, error=error)
        turn.ended([Ended(path, node.parent, node.step, NodeState.FAILED, error)])
        verdict = close(turn)
        messages = turn.flush()
    engine.send(run, messages)
    if verdict is False:
        engine.on_end(run)
    elif verdict:
        finish(engine, run)
    return str(NodeState.FAILED)


def stop_below(turn: Turn, path: str) -> None:
    """Take back the attempts of a node and of its parts, and end the parts."""
    if turn.notes is not None:
        turn.notes.cut_short(path)
    attempts.cancel_queued(turn.connection, turn.id, path)
    nodes.cancel_below(turn.connection, turn.id, path)
