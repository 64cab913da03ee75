"""Go on with a run whose process or broker is gone (`celeriac resume`). Nothing that has finished runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac.container.process_name import is_dead
from celeriac.engine.advance import advance
from celeriac.engine.lost import lose_dead
from celeriac.engine.scan import repair
from celeriac.errors import NotFoundError, UsageError
from celeriac.journal import runs
from celeriac.journal.tables import Record
from celeriac.states import RUN_ENDED, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

#: Messages that are sent again at once, at most; the scan sends what is more.
PORTION = 10_000


def resume(engine: Engine, run: str) -> str:
    """Have a run that has not ended go on now, whatever was lost; returns its state. One that has ended stays so.

    An embedded run (one with a keeper) becomes this process's own. To do so while it goes on elsewhere is
    harmless: each step is claimed once. Raises :class:`~celeriac.errors.NotFoundError`, and
    :class:`~celeriac.errors.UsageError` for an embedded run of a host or process that may be alive.
    """
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None:
            raise NotFoundError(f"there is no run {run}", hint="`celeriac list` shows what there is")
        if RunState(row.state) in RUN_ENDED:
            return str(row.state)
        _check_keeper(engine, row)
        runs.put(connection, run, keeper=engine.keeper)
    lose_dead(engine, run)
    repair(engine, run, None, PORTION)
    advance(engine, run)
    with engine.database.read() as connection:
        found = runs.short(connection, run)
    return str(found.state if found else row.state)


def _check_keeper(engine: Engine, row: Record) -> None:
    """An embedded run's steps are in the memory of its process: while that lives, nobody else may look after it."""
    if row.keeper in (None, engine.keeper):
        return
    dead = is_dead(row.keeper, engine.host)
    host, pid, _ = row.keeper.rsplit(":", 2)
    if dead is False:
        raise UsageError(
            f"run {row.id} goes on: process {pid} of this host looks after it",
            hint=f"`celeriac status --watch {row.id}` shows how far it is",
        )
    if dead is None and host != engine.host:
        raise UsageError(
            f"run {row.id} was started on {host} by `celeriac run`, and goes on only there; this is {engine.host}",
            hint="resume it on that host",
        )
