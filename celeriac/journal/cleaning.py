"""What `celeriac clean` asks the journal: which runs have ended, and what points to files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, select, update

from celeriac.journal.database import now
from celeriac.journal.tables import Record, attempts, runs
from celeriac.states import RUN_ENDED, Outcome

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

    Of these too, where other runs may reuse them, unless they are to ``forget``.
    """
    alive = not_(wanted) if forget else not_(wanted) | attempts.c.key.is_not(None)
    statement = select(attempts.c.outputs).select_from(attempts.join(runs, runs.c.id == attempts.c.run_id))
    success = and_(attempts.c.outcome == Outcome.SUCCESS, attempts.c.outputs.is_not(None))
    yield from _stream(connection, statement.where(success, alive))


def _stream(connection: Connection, statement: Select[Any]) -> Iterator[Any]:
    yield from connection.execution_options(yield_per=_PORTION).execute(statement).scalars()


def clock(connection: Connection) -> float:
    """Return the database's time."""
    return float(connection.execute(select(now())).scalar_one())


def forget(connection: Connection, run: str) -> int:
    """Have no other run reuse what a run made; return how many of its attempts could have been."""
    statement = update(attempts).where(attempts.c.run_id == run, attempts.c.key.is_not(None))
    return connection.execute(statement.values(key=None)).rowcount


def reusable(connection: Connection, run: str) -> int:
    """Count the attempts of a run that another run may reuse."""
    statement = select(func.count()).where(attempts.c.run_id == run, attempts.c.key.is_not(None))
    return int(connection.execute(statement).scalar_one())


def reused_since(connection: Connection, run: str, since: float) -> bool:
    """Whether a later attempt took over the outputs of one of this run's."""
    giver = attempts.alias("giver")
    statement = (
        select(attempts.c.id)
        .select_from(attempts.join(giver, giver.c.id == attempts.c.reused))
        .where(giver.c.run_id == run, func.coalesce(attempts.c.ended, attempts.c.created) >= since)
        .limit(1)
    )
    return connection.execute(statement).first() is not None
