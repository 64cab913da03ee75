"""The scan: repairs what a lost message or a dead worker left behind. One process at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from celeriac.engine.advance import advance
from celeriac.engine.by_hand import adopt_nodes, adopt_run
from celeriac.engine.dispatch import send_alone
from celeriac.engine.lost import lose_dead, replace
from celeriac.engine.turn import Turn
from celeriac.errors import BrokerUnavailable, UnavailableError
from celeriac.journal import leases, outbox, queued, runs
from celeriac.states import RUN_ENDED, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: Attempts looked at for lost messages, per run and scan.
PORTION = 256


def scan(engine: Engine) -> bool:
    """Look through all open runs; False when another process does so now.

    An embedded run is looked after by its own process alone, and that one looks after no other.
    """
    interval = engine.settings.scan_interval
    keeper = engine.keeper
    with engine.database.begin() as connection:
        if not outbox.lock(connection, f"scan {keeper}" if keeper else "scan", engine.owner, interval * 4):
            return False
        forgotten = outbox.overdue(connection, interval, keeper)
        open_runs = runs.open_runs(connection, keeper)
        by_hand = runs.set_by_hand(connection, keeper)
    for row in forgotten:
        with _apart(row.run_id):
            engine.send(row.run_id, [(row.id, (row.kind, row.payload))])
    for run in by_hand:
        with _apart(run):
            adopt_run(engine, run)
    for run in open_runs:
        with _apart(run):
            look_after(engine, run)
    return True


def look_after(engine: Engine, run: str) -> None:
    """Repair one run. What ran in a process of this host that has died need not wait for its lease."""
    lose_dead(engine, run)
    repair(engine, run, engine.settings.lease, PORTION)
    advance(engine, run)


@contextmanager
def _apart(run: str) -> Iterator[None]:
    """Keep the trouble of one run from the others; what is not there at all is everybody's."""
    try:
        yield
    except UnavailableError:
        raise
    except Exception:
        log.exception("run %s can't be looked after and is tried again", run)


def repair(engine: Engine, run: str, older: float | None, portion: int) -> None:
    """Turn expired leases into the next attempt, take over what was set by hand, publish again what nobody claimed.

    ``older``: the seconds for which nobody has; None: no message is there at all.
    """
    empty = _empty(engine, run, older) if older is not None else []
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None or RunState(row.state) in RUN_ENDED:
            return
        turn = Turn(engine, connection, row)
        for gone in leases.expire(connection, run):
            replace(turn, gone)
        adopt_nodes(turn)
        if not turn.halted:
            for late in queued.unclaimed(connection, run, older, portion, empty):
                send_alone(turn, late._mapping)
        messages = turn.flush()
    engine.send(run, messages)


def _empty(engine: Engine, run: str, older: float) -> list[str]:
    """Return the queues where a run's attempts have waited for long, and the broker has nothing."""
    with engine.database.read() as connection:
        names = queued.late_queues(connection, run, older)
    try:
        return [name for name in names if engine.publisher.is_empty(name)]
    except BrokerUnavailable as error:
        log.debug("nobody can tell what waits at the broker: %s", error)
        return []
