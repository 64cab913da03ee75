"""What tools asked for and what they used: sums over many attempts, and no document's values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, case, func, select

from celeriac.journal.database import now
from celeriac.journal.tables import Record, attempts
from celeriac.states import Outcome

#: Outcomes that tell of the tool; the others tell of a worker, an engine or a host.
_ITS_OWN = (Outcome.SUCCESS, Outcome.PERMANENT, Outcome.TEMPORARY, Outcome.OUT_OF_MEMORY)

_exhausted = attempts.c.outcome == Outcome.OUT_OF_MEMORY
_had = attempts.c.granted["ram"].as_float()


def _asked(key: str) -> ColumnElement[float]:
    amount: ColumnElement[float] = attempts.c.asked[key].as_float()
    return amount


def _seen(days: float, tools: Iterable[str] | None) -> list[ColumnElement[bool]]:
    """Return the conditions: ended so lately, by themselves; an expression, or what is reused, uses no slot."""
    found = [
        attempts.c.ended >= now() - days * 86400,
        attempts.c.tool.is_not(None),
        attempts.c.granted.is_not(None),
        attempts.c.outcome.in_(_ITS_OWN),
        attempts.c.reused.is_(None),
    ]
    return found if tools is None else [*found, attempts.c.tool.in_(list(tools))]


def tools(connection: Connection, days: float, names: Iterable[str] | None = None) -> Sequence[Record]:
    """Return a row a tool, by name: its attempts, the least and the most that it asked for, out of memory.

    ``memory_had``: the most that one had which ran out of it, in MiB.
    """
    cpus, ram = _asked("cpus"), _asked("ram")
    statement = (
        select(
            attempts.c.tool,
            func.count().label("attempts"),
            func.min(cpus).label("cpus_min"),
            func.max(cpus).label("cpus_max"),
            func.min(ram).label("ram_min"),
            func.max(ram).label("ram_max"),
            func.max(_asked("gpus")).label("gpus"),
            func.sum(case((_exhausted, 1), else_=0)).label("out_of_memory"),
            func.max(case((_exhausted, _had))).label("memory_had"),
        )
        .where(*_seen(days, names))
        .group_by(attempts.c.tool)
        .order_by(attempts.c.tool)
    )
    return connection.execute(statement).all()


def queues(connection: Connection, days: float, names: Iterable[str] | None = None) -> Sequence[Record]:
    """Return how many steps of each tool went to each queue at first."""
    statement = (
        select(attempts.c.tool, attempts.c.queue, func.count().label("number"))
        .where(*_seen(days, names), attempts.c.number == 1)
        .group_by(attempts.c.tool, attempts.c.queue)
        .order_by(func.count().desc(), attempts.c.queue)
    )
    return connection.execute(statement).all()


def used(connection: Connection, days: float, names: Iterable[str] | None = None) -> Sequence[Record]:
    """Return what each attempt used that ended well: peak memory in MiB, CPU seconds, seconds."""
    statement = select(
        attempts.c.tool,
        attempts.c.peak_memory,
        attempts.c.cpu_seconds,
        (attempts.c.ended - attempts.c.started).label("seconds"),
    ).where(*_seen(days, names), attempts.c.outcome == Outcome.SUCCESS)
    return connection.execute(statement).all()


def names(connection: Connection) -> list[str]:
    """Return the names of all tools that have ended."""
    statement = select(attempts.c.tool).where(attempts.c.tool.is_not(None), attempts.c.outcome.in_(_ITS_OWN))
    return list(connection.execute(statement.distinct().order_by(attempts.c.tool)).scalars())
