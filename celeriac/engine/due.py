"""Attempts that had to wait after a failure go out when their pause is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac.engine.dispatch import send_alone
from celeriac.engine.turn import Turn
from celeriac.journal import queued, runs

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


def wake(engine: Engine) -> None:
    """Send what is due. Any process may do it at any time: each attempt is taken by one of them."""
    with engine.database.read() as connection:
        found = queued.due_runs(connection)
    for run in found:
        with engine.database.begin() as connection:
            row = runs.lock(connection, run)
            if row is None or row.keeper != engine.keeper:
                continue
            turn = Turn(engine, connection, row)
            if turn.halted:
                continue
            for late in queued.take_due(connection, run):
                send_alone(turn, late._mapping)
            messages = turn.flush()
        engine.send(run, messages)
