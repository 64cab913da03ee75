"""What a run gave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.errors import NotFoundError, RunCancelled, RunFailed, from_dict
from celeriac.job import failure
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
        failed = row is not None and row.state == RunState.FAILED and row.error
        step = failure.find(connection, run, row.error) if row is not None and failed else None
    if row is None:
        raise NotFoundError(f"there is no run {run}", hint="`celeriac list` shows what there is")
    if row.state == RunState.SUCCESS:
        return dict(row.outputs or {})
    if row.state == RunState.CANCELED:
        raise RunCancelled(f"run {run} was cancelled")
    told = failure.text(from_dict(row.error), step, place_of(engine, run, row.options), run) if row.error else ""
    raise RunFailed(f"run {run} of {row.name} is {row.state}" + (f": {told}" if told else ""), run=run)


def place_of(engine: Engine, run: str, options: dict[str, Any]) -> Callable[[Any], Path]:
    """Return what tells the directory of an attempt of a run, as its worker wrote it or as it follows."""
    known = engine.options(run, options)
    return lambda row: Path(row.directory) if row.directory else engine.place(run, row.path, row.id, known)
