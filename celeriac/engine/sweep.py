"""The sweep: removes this host's containers whose attempts are over, whoever left them and however."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from celeriac.engine.lost import lose
from celeriac.journal import leases

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


def sweep(engine: Engine) -> list[str]:
    """Remove them, and return the attempts whose containers they were.

    Attempts that this journal does not know are another installation's, and left alone. Where no container
    engine answers there is nothing to do.
    """
    over = _over(engine)
    if not over:
        return []
    # once more: what its own worker has removed meanwhile is no leftover
    found = sorted(over & engine.jobs.attempts(engine.boot))
    for attempt in found:
        if engine.jobs.remove(attempt):
            log.warning("a container of attempt %s, which is over, was left on this host: it is removed", attempt)
        else:
            log.warning("a container of attempt %s, which is over, can't be removed yet", attempt)
    return found


def _over(engine: Engine) -> set[str]:
    found = engine.jobs.attempts(engine.boot)
    if not found:
        return set()
    with engine.database.read() as connection:
        over = leases.over(connection, found)
    # whoever runs one may have died here, and its lease not have run out yet
    return over | {attempt for attempt in found - over if lose(engine, attempt)}
