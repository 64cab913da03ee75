"""Attempts in the journal: claim, report, what the scheduler makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Float, bindparam, func, insert, select, update

from celeriac.journal.database import now
from celeriac.journal.paths import below
from celeriac.journal.tables import Record, Value, attempts, nodes
from celeriac.scheduler.retry import Cause
from celeriac.states import AttemptState

#: Paths in one statement, at most.
_PORTION = 500
_OPEN = (AttemptState.QUEUED, AttemptState.RUNNING, AttemptState.REPORTED)


def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert attempts in state QUEUED; each row's ``due`` is the seconds that it has to wait, if any."""
    at_once = [{**row, "due": None} for row in rows if not row.get("due")]
    later = [{**row, "pause": row["due"]} for row in rows if row.get("due")]
    if at_once:
        connection.execute(_ADD, at_once)
    for row in later:
        del row["due"]
        connection.execute(_ADD_LATER, row)


_ADD = insert(attempts).values(state=AttemptState.QUEUED, created=now())
_ADD_LATER = _ADD.values(due=now() + bindparam("pause", type_=Float))


_CLAIM = (
    update(attempts)
    .where(
        attempts.c.id.in_(bindparam("ids", expanding=True)),
        attempts.c.state == AttemptState.QUEUED,
        attempts.c.due.is_(None),
    )
    .values(
        state=AttemptState.RUNNING,
        owner=bindparam("new_owner"),
        host=bindparam("new_host"),
        lease=now() + bindparam("seconds"),
        started=now(),
    )
    .returning(
        attempts.c.id,
        attempts.c.run_id,
        attempts.c.path,
        attempts.c.number,
        attempts.c.queue,
        attempts.c.granted,
        attempts.c.batch,
    )
)


def claim(connection: Connection, ids: Sequence[str], owner: str, host: str, lease: float) -> list[Record]:
    """Take attempts; returns those that were there to be taken, in their order."""
    values = {"ids": ids, "new_owner": owner, "new_host": host, "seconds": lease}
    found = {row.id: row for row in connection.execute(_CLAIM, values)}
    return [found[attempt] for attempt in ids if attempt in found]


_WORK = select(
    nodes.c.path, nodes.c.inputs, nodes.c.step, nodes.c.idx, nodes.c.parent, nodes.c.state
).where(nodes.c.run_id == bindparam("run"), nodes.c.path.in_(bindparam("paths", expanding=True)))  # fmt: skip


def work(connection: Connection, run: str, paths: Sequence[str]) -> dict[str, Record]:
    """Return what a worker needs to know of nodes of a run, by path."""
    return {row.path: row for row in connection.execute(_WORK, {"run": run, "paths": paths})}


_OWN = (
    select(attempts.c.id)
    .where(
        attempts.c.id.in_(bindparam("ids", expanding=True)),
        attempts.c.owner == bindparam("by"),
        attempts.c.state == AttemptState.RUNNING,
    )
    .with_for_update()
)
_REPORT = (
    update(attempts)
    .where(attempts.c.id == bindparam("attempt"))
    .values(
        state=AttemptState.REPORTED,
        outcome=bindparam("new_outcome"),
        exit_code=bindparam("new_exit"),
        outputs=bindparam("new_outputs", type_=Value),
        error=bindparam("new_error", type_=Value),
        key=bindparam("new_key"),
        parts=bindparam("new_parts", type_=Value),
        directory=bindparam("new_directory"),
        command=bindparam("new_command", type_=Value),
        peak_memory=bindparam("new_peak"),
        cpu_seconds=bindparam("new_cpu"),
        started=now() - bindparam("began", type_=Float),
        ended=now() - bindparam("over", type_=Float),
    )
)


@dataclass(frozen=True)
class Report:
    """What a worker tells of an attempt."""

    attempt: str
    outcome: str
    exit_code: int | None
    outputs: Any
    error: Any
    directory: str
    peak_memory: int | None  # MiB
    cpu_seconds: float | None
    began: float = 0.0  # seconds since then
    over: float = 0.0
    key: str | None = None
    parts: Any = None
    command: Sequence[str] | None = None


def report(connection: Connection, owner: str, reports: Sequence[Report]) -> set[str]:
    """Write a worker's reports; return the attempts that are still ``owner``'s. Nothing of others is published."""
    ids = [one.attempt for one in reports]
    own = set(connection.execute(_OWN, {"ids": ids, "by": owner}).scalars())
    rows = [
        {
            "attempt": one.attempt, "new_outcome": one.outcome, "new_exit": one.exit_code,
            "new_outputs": one.outputs, "new_error": one.error, "new_directory": one.directory,
            "new_command": one.command, "new_peak": one.peak_memory, "new_cpu": one.cpu_seconds, "new_key": one.key,
            "new_parts": one.parts, "began": one.began, "over": one.over,
        }
        for one in reports
        if one.attempt in own
    ]  # fmt: skip
    if rows:
        connection.execute(_REPORT, rows)
    return own


_REPORTED = (
    select(
        attempts.c.id, attempts.c.path, attempts.c.number, attempts.c.outcome, attempts.c.error, attempts.c.exit_code,
        attempts.c.queue, attempts.c.asked, attempts.c.granted, attempts.c.tool, attempts.c.lane,
        attempts.c.started, attempts.c.ended, nodes.c.parent, nodes.c.step, nodes.c.idx,
        nodes.c.state.label("node_state"),
    )
    .select_from(
        attempts.join(
            nodes,
            (nodes.c.run_id == attempts.c.run_id)
            & (nodes.c.path == attempts.c.path)
            & (nodes.c.attempt == attempts.c.id),
        )
    )
    .where(attempts.c.run_id == bindparam("run"), attempts.c.state == AttemptState.REPORTED)
    .order_by(attempts.c.created)
)  # fmt: skip


def reported(connection: Connection, run: str) -> Sequence[Record]:
    """Return the reports on a run's attempts that the scheduler has not seen."""
    return connection.execute(_REPORTED, {"run": run}).all()


def result(connection: Connection, attempt: str) -> Record | None:
    """Return an attempt's state and outputs, or None when there is no such attempt."""
    return connection.execute(select(attempts.c.state, attempts.c.outputs).where(attempts.c.id == attempt)).first()


def settle(connection: Connection, ids: list[str], cause: str | None = None) -> None:
    """Mark reports as seen, with why they brought nothing."""
    if ids:
        connection.execute(_SETTLE, {"ids": ids, "why": cause})


_SETTLE = (
    update(attempts)
    .where(attempts.c.id.in_(bindparam("ids", expanding=True)))
    .values(state=AttemptState.SETTLED, cause=bindparam("why"))
)


def failures(
    connection: Connection, run: str, path: str, cause: str, since: float | None, *, other_than: str
) -> int:
    """Count the attempts at a node that ended for this cause, of those that were made after ``since``."""
    statement = select(func.count()).where(
        attempts.c.run_id == run,
        attempts.c.path == path,
        attempts.c.cause == cause,
        attempts.c.created >= (since or 0.0),
        attempts.c.id != other_than,
    )
    return int(connection.execute(statement).scalar_one())


def latest(connection: Connection, run: str, paths: Iterable[str]) -> Iterator[Record]:
    """Yield the current attempt of each node."""
    wanted = list(paths)
    for start in range(0, len(wanted), _PORTION):
        statement = (
            select(
                attempts.c.id, attempts.c.path, attempts.c.number, attempts.c.queue, attempts.c.asked,
                attempts.c.granted, attempts.c.tool, attempts.c.cause, nodes.c.parent, nodes.c.idx,
            )
            .select_from(nodes.join(attempts, attempts.c.id == nodes.c.attempt))
            .where(nodes.c.run_id == run, nodes.c.path.in_(wanted[start : start + _PORTION]))
        )  # fmt: skip
        yield from connection.execute(statement)


def numbers(connection: Connection, run: str, paths: Iterable[str]) -> dict[str, int]:
    """Return the highest number of each node's attempts."""
    statement = (
        select(attempts.c.path, func.max(attempts.c.number))
        .where(attempts.c.run_id == run, attempts.c.path.in_(list(paths)))
        .group_by(attempts.c.path)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


_FIRST_LANE = (
    select(attempts.c.queue, func.count())
    .where(attempts.c.run_id == bindparam("run"), attempts.c.state.in_(_OPEN[:2]), attempts.c.lane == 0)
    .group_by(attempts.c.queue)
)


def in_first_lane(connection: Connection, run: str) -> dict[str, int]:
    """Count a run's open attempts of the first lane by queue."""
    return {row[0]: row[1] for row in connection.execute(_FIRST_LANE, {"run": run})}


def open_count(connection: Connection, run: str) -> int:
    """Count the attempts of a run that may still bring something."""
    statement = select(func.count()).where(attempts.c.run_id == run, attempts.c.state.in_(_OPEN))
    return int(connection.execute(statement).scalar_one())


def cancel_queued(connection: Connection, run: str, at: str | None = None) -> list[str]:
    """Cancel what nobody has claimed, of a node and its parts alone if one is given; return the paths."""
    statement = (
        update(attempts)
        .where(attempts.c.run_id == run, attempts.c.state == AttemptState.QUEUED)
        .values(state=AttemptState.CANCELED, cause=Cause.CANCELED, ended=now())
        .returning(attempts.c.path)
    )
    if at is not None:
        statement = statement.where((attempts.c.path == at) | below(attempts.c.path, at))
    return list(connection.execute(statement).scalars())
