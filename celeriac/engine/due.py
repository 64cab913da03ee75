"""What had to wait after a failure goes out when its pause is over: attempts, and notices to listeners."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from celeriac.engine.dispatch import send_alone
from celeriac.engine.turn import Turn
from celeriac.journal import queued, runs

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

#: Seconds before the notices of a run are asked for again: the message may wait for its turn.
AGAIN = 5.0


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


def remind(engine: Engine, told: dict[str, float]) -> None:
    """Have the notices delivered that are due: what a lost message or a dead process left, and what failed before.

    An embedded run sees to its own; workers to all, so that what such a run could not deliver till its end is.
    ``told`` is kept by the caller: whom was asked for a moment ago is not again.
    """
    from celeriac.journal import notices  # a short run never comes here

    with engine.database.read() as connection:
        found = notices.due_runs(connection, engine.keeper, listener=bool(engine.settings.notify_url))
    now = time.monotonic()
    for run in [run for run, moment in told.items() if now - moment > AGAIN]:
        del told[run]
    for run in found:
        if run not in told:
            told[run] = now
            engine.hint(run)
