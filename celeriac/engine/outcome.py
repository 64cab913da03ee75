"""What a run gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.errors import NotFoundError, RunCancelled, RunFailed, from_dict
from celeriac.journal import runs
from celeriac.states import RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


def outcome(engine: Engine, run: str) -> dict[str, Any]:
    """Return an ended run's output object.

    Raises :class:`~celeriac.errors.RunFailed` or :class:`~celeriac.errors.RunCancelled` with the cause,
    :class:`~celeriac.errors.NotFoundError` when there is no such run.
    """
    with engine.database.read() as connection:
        row = runs.result(connection, run)
    if row is None:
        raise NotFoundError(f"there is no run {run}", hint="`celeriac list` shows what there is")
    if row.state == RunState.SUCCESS:
        return dict(row.outputs or {})
    if row.state == RunState.CANCELED:
        raise RunCancelled(f"run {run} was cancelled")
    cause = from_dict(row.error) if row.error else None
    raise RunFailed(f"run {run} of {row.name} is {row.state}" + (f": {cause}" if cause else ""), run=run)
