"""A worker that ends takes no more: what came to it goes to others at once, not when a lease has run out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from celeriac.engine.dispatch import send_alone
from celeriac.engine.turn import Turn
from celeriac.errors import CeleriacError
from celeriac.journal import queued, runs

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


def pass_on(engine: Engine, attempt: str) -> None:
    """Send the message of an attempt again that nobody has claimed; nothing for others.

    An embedded run ends with its command, so there is nobody to send it to. Never raises: what could not
    be sent is in the outbox, or is sent again by the scan.
    """
    if not engine.fair:
        return
    try:
        with engine.database.begin() as connection:
            row = queued.unclaimed_one(connection, attempt)
            run = runs.lock(connection, row.run_id) if row is not None else None
            if row is None or run is None:
                return
            turn = Turn(engine, connection, run)
            if turn.halted:
                return
            send_alone(turn, row._mapping)
            messages = turn.flush()
        engine.send(turn.id, messages)
    except CeleriacError as error:
        log.warning("attempt %s goes to another worker later: %s", attempt, error)
    else:
        log.info("attempt %s goes to another worker: this one ends", attempt)
