"""What `celeriac clean` asks the journal: which runs have ended, and what points to files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, select, update

from celeriac.journal.database import now
from celeriac.journal.tables import Record, attempts, runs
from celeriac.states import RUN_ENDED, AttemptState, Outcome

#: Rows that are read at a time.
_PORTION = 500

_OVER = runs.c.state.in_(list(RUN_ENDED))
_ENDED = func.coalesce(runs.c.ended, runs.c.created)


def older(seconds: float) -> ColumnElement[bool]:
    """Return the condition for runs that ended so long ago."""
    return and_(_OVER, _ENDED < now() - seconds)


def named(ids: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition for these runs, if they have ended."""
    return and_(_OVER, runs.c.id.in_(list(ids)))


def ended(connection: Connection, wanted: ColumnElement[bool]) -> Sequence[Record]:
    """Return the runs that are wanted, the oldest first."""
    statement = select(runs.c.id, runs.c.name, runs.c.state, runs.c.options, _ENDED.label("ended"))
    return connection.execute(statement.where(wanted).order_by(_ENDED)).all()


def known(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return those of ``ids`` that are runs."""
    found: set[str] = set()
    for start in range(0, len(ids), _PORTION):
        part = ids[start : start + _PORTION]
        found.update(connection.execute(select(runs.c.id).where(runs.c.id.in_(part))).scalars())
    return found


def published(connection: Connection) -> Iterator[Any]:
    """Yield the CWL values that point to files nobody may remove: all runs' outputs, and what open runs were given."""
    yield from _stream(connection, select(runs.c.outputs).where(runs.c.outputs.is_not(None)))
    yield from _stream(connection, select(runs.c.inputs).where(not_(_OVER)))


def made(connection: Connection, wanted: ColumnElement[bool], *, forget: bool) -> Iterator[Any]:
    """Yield the outputs of attempts that are needed still: of all runs but those that are ``wanted``.

    Of these too, where other runs may reuse them, unless they are to ``forget``; and of all, what another
    run's attempt takes over just now, which has no outputs of its own yet.
    """
    entry = and_(attempts.c.key.is_not(None), attempts.c.reused.is_(None))
    alive = not_(wanted) if forget else not_(wanted) | entry
    statement = select(attempts.c.outputs).select_from(attempts.join(runs, runs.c.id == attempts.c.run_id))
    success = and_(attempts.c.outcome == Outcome.SUCCESS, attempts.c.outputs.is_not(None))
    yield from _stream(connection, statement.where(success, alive))
    maker = attempts.alias("maker")
    takes = attempts.join(maker, maker.c.id == attempts.c.reused).join(runs, runs.c.id == attempts.c.run_id)
    taken = select(maker.c.outputs).select_from(takes).where(maker.c.outputs.is_not(None), not_(wanted))
    yield from _stream(connection, taken.where(attempts.c.state == AttemptState.RUNNING))


def _stream(connection: Connection, statement: Select[Any]) -> Iterator[Any]:
    yield from connection.execution_options(yield_per=_PORTION).execute(statement).scalars()


def forget(connection: Connection, run: str) -> int:
    """Have no other run reuse what a run made; return how many of its attempts could have been.

    It waits for whoever takes one over now (:func:`celeriac.journal.reuse.take`): nobody does so after it.
    """
    return connection.execute(update(attempts).where(*_entry(run)).values(key=None)).rowcount


def reusable(connection: Connection, run: str) -> int:
    """Count the attempts of a run that another run may reuse."""
    return int(connection.execute(select(func.count()).where(*_entry(run))).scalar_one())


def _entry(run: str) -> tuple[ColumnElement[bool], ...]:
    return attempts.c.run_id == run, attempts.c.key.is_not(None), attempts.c.reused.is_(None)


def let_go(connection: Connection, run: str) -> None:
    """Note that a run needs no longer what it took over from others."""
    statement = update(attempts).where(attempts.c.run_id == run, attempts.c.reused.is_not(None))
    connection.execute(statement.values(key=None))
