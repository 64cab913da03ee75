"""What people look at: queries that only read, and stay cheap for runs of many thousand nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, or_, select

from celeriac.journal.database import now
from celeriac.journal.tables import Record, Value, attempts, nodes, runs
from celeriac.states import AttemptState, NodeState, Outcome

_JOINED = nodes.outerjoin(attempts, attempts.c.id == nodes.c.attempt)

_REPORTED = and_(nodes.c.state == NodeState.QUEUED, attempts.c.state == AttemptState.REPORTED)

#: What people call a job's state: a queued one runs once a worker has it, and has ended once that worker said
#: so, though the scheduler may not have looked yet (it does when a whole part of a scatter has ended).
_STATE = case(
    (and_(_REPORTED, attempts.c.outcome == Outcome.SUCCESS), NodeState.SUCCESS.value),
    (and_(_REPORTED, attempts.c.outcome == Outcome.PERMANENT), NodeState.FAILED.value),
    (and_(_REPORTED, attempts.c.outcome == Outcome.CANCELED), NodeState.CANCELED.value),
    (and_(nodes.c.state == NodeState.QUEUED, attempts.c.state == AttemptState.RUNNING), NodeState.RUNNING.value),
    (_REPORTED, NodeState.RUNNING.value),  # it is tried again
    else_=nodes.c.state,
).label("state")
_ERROR = func.coalesce(nodes.c.error, attempts.c.error, type_=Value)
_ENDED = func.coalesce(nodes.c.ended, attempts.c.ended)

# a subquery, so that the state's own values are sent once: PostgreSQL takes two for two expressions
_SEEN = (
    select(
        nodes.c.step, nodes.c.kind, _STATE, nodes.c.remaining, nodes.c.created,
        attempts.c.started, _ENDED.label("ended"), attempts.c.queue, attempts.c.host, attempts.c.exit_code,
        attempts.c.reused,
    )
    .select_from(_JOINED)
    .where(nodes.c.run_id == bindparam("run"))
    .subquery()
)  # fmt: skip
_STEPS = select(
    _SEEN.c.step,
    _SEEN.c.kind,
    _SEEN.c.state,
    func.count().label("number"),
    func.sum(_SEEN.c.remaining).label("remaining"),
    func.min(_SEEN.c.created).label("created"),
    func.min(_SEEN.c.started).label("started"),
    func.max(_SEEN.c.ended).label("ended"),
    func.min(_SEEN.c.queue).label("queue"),
    func.max(_SEEN.c.queue).label("other_queue"),
    func.min(_SEEN.c.host).label("host"),
    func.max(_SEEN.c.host).label("other_host"),
    func.max(_SEEN.c.exit_code).label("exit_code"),
    func.count(_SEEN.c.reused).label("reused"),
).group_by(_SEEN.c.step, _SEEN.c.kind, _SEEN.c.state)


def steps(connection: Connection, run: str) -> Sequence[Record]:
    """Return a run's nodes counted by step, kind and state, oldest first; times are of the whole group."""
    return sorted(connection.execute(_STEPS, {"run": run}).all(), key=lambda row: (row.created, row.step))


def run(connection: Connection, identifier: str) -> Record | None:
    """Return a run without what may be large: no inputs and outputs. None when there is no such run."""
    statement = select(
        runs.c.id, runs.c.name, runs.c.state, runs.c.created, runs.c.started, runs.c.ended, runs.c.error, runs.c.keeper
    )
    return connection.execute(statement.where(runs.c.id == identifier)).first()


def clock(connection: Connection) -> float:
    """Return the database's time: what all times of the journal are to be compared with."""
    return float(connection.execute(select(now())).scalar_one())


_JOB_COLUMNS = (
    nodes.c.path, nodes.c.step, nodes.c.kind, _STATE, _ERROR.label("error"), nodes.c.created,
    attempts.c.id.label("attempt"), attempts.c.number, attempts.c.queue, attempts.c.host, attempts.c.exit_code,
    attempts.c.started, _ENDED.label("ended"), attempts.c.directory,
    attempts.c.peak_memory, attempts.c.cpu_seconds, attempts.c.reused,
)  # fmt: skip


_FAILED = (
    select(*_JOB_COLUMNS)
    .select_from(_JOINED)
    .where(nodes.c.run_id == bindparam("run"), _STATE == NodeState.FAILED, _ERROR.is_not(None))
)


def jobs(connection: Connection, run: str) -> Sequence[Record]:
    """Return a run's jobs with their current attempts, oldest first."""
    statement = select(*_JOB_COLUMNS).select_from(_JOINED).where(nodes.c.run_id == run, nodes.c.kind == "job")
    return connection.execute(statement.order_by(nodes.c.created, nodes.c.parent, nodes.c.idx, nodes.c.path)).all()


def under(path: str) -> ColumnElement[bool]:
    """Return the condition for a node ``align[3]``, all of a step ``align``, and what is inside either."""
    inside = nodes.c.path.startswith(path + "/", autoescape=True)
    return or_(nodes.c.path == path, nodes.c.step == path, inside, nodes.c.step.startswith(path + "/", autoescape=True))


def exists(connection: Connection, run: str, path: str) -> bool:
    """Whether a run has anything :func:`under` a path."""
    statement = select(nodes.c.path).where(nodes.c.run_id == run, under(path)).limit(1)
    return connection.execute(statement).first() is not None


def failures(connection: Connection, run: str, limit: int | None) -> Sequence[Record]:
    """Return the nodes that failed by themselves, not by a part of theirs; the latest first, ``limit`` at most."""
    return connection.execute(_FAILED.order_by(_ENDED.desc(), nodes.c.path).limit(limit), {"run": run}).all()


def first_failures(connection: Connection, run: str, limit: int) -> Sequence[Record]:
    """Return nodes as :func:`failures` does, the earliest first."""
    return connection.execute(_FAILED.order_by(_ENDED, nodes.c.path).limit(limit), {"run": run}).all()


def failed(connection: Connection, run: str) -> int:
    """Count the nodes that failed by themselves."""
    return int(connection.execute(select(func.count()).select_from(_FAILED.subquery()), {"run": run}).scalar_one())


def tries(
    connection: Connection, run: str, *, ids: Iterable[str] | None = None, after: float | None = None
) -> Sequence[Record]:
    """Return attempts that a worker has claimed, in that order: some by ``ids``, or those from ``after`` on."""
    statement = select(
        attempts.c.id, attempts.c.path, attempts.c.number, attempts.c.state, attempts.c.host,
        attempts.c.exit_code, attempts.c.directory, attempts.c.started, attempts.c.ended,
    ).where(attempts.c.run_id == run, attempts.c.started.is_not(None))  # fmt: skip
    if ids is not None:
        statement = statement.where(attempts.c.id.in_(list(ids)))
    if after is not None:
        statement = statement.where(attempts.c.started >= after)
    return connection.execute(statement.order_by(attempts.c.started, attempts.c.path)).all()


_TASK = (
    attempts.c.id, attempts.c.path, attempts.c.number, attempts.c.state, attempts.c.outcome, attempts.c.reused,
    attempts.c.host, attempts.c.exit_code, attempts.c.error, attempts.c.directory, attempts.c.command,
    attempts.c.created, attempts.c.started, attempts.c.ended,
)  # fmt: skip


def attempts_page(
    connection: Connection, run: str, limit: int, after: tuple[float, str] | None = None
) -> Sequence[Record]:
    """Return a run's attempts, oldest first, from after a place (created, id) on."""
    statement = select(*_TASK).where(attempts.c.run_id == run)
    if after is not None:
        created, name = after
        same = and_(attempts.c.created == created, attempts.c.id > name)
        statement = statement.where(or_(attempts.c.created > created, same))
    return connection.execute(statement.order_by(attempts.c.created, attempts.c.id).limit(limit)).all()


def attempt(connection: Connection, run: str, identifier: str) -> Record | None:
    """Return one attempt of a run, or None."""
    statement = select(*_TASK).where(attempts.c.run_id == run, attempts.c.id == identifier)
    return connection.execute(statement).first()


_BEGUN = (
    select(attempts.c.id).where(attempts.c.run_id == bindparam("run"), attempts.c.started.is_not(None)).limit(1)
)


def begun(connection: Connection, run: str) -> bool:
    """Whether any attempt of a run was claimed by a worker."""
    return connection.execute(_BEGUN, {"run": run}).first() is not None


def tried(connection: Connection, run: str, path: str) -> Sequence[Record]:
    """Return all attempts at one node, the first one first, also those that nobody has claimed."""
    statement = select(
        attempts.c.id, attempts.c.path, attempts.c.directory, attempts.c.number, attempts.c.state, attempts.c.outcome,
        attempts.c.cause, attempts.c.reused, attempts.c.parts, attempts.c.queue, attempts.c.lane, attempts.c.tool,
        attempts.c.asked, attempts.c.granted, attempts.c.host, attempts.c.exit_code, attempts.c.error,
        attempts.c.peak_memory, attempts.c.cpu_seconds, attempts.c.created, attempts.c.started, attempts.c.ended,
    ).where(attempts.c.run_id == run, attempts.c.path == path)  # fmt: skip
    return connection.execute(statement.order_by(attempts.c.number, attempts.c.created)).all()


def first_job(connection: Connection, run: str, step: str) -> str | None:
    """Return the path of the first job of a step, by its place in its scatter; None when there is none."""
    statement = (
        select(nodes.c.path)
        .where(nodes.c.run_id == run, nodes.c.step == step, nodes.c.kind == "job")
        .order_by(nodes.c.created, nodes.c.idx, nodes.c.path)
        .limit(1)
    )
    return connection.execute(statement).scalar()


def jobs_by_queue(connection: Connection, run: str, step: str) -> dict[str | None, int]:
    """Count the jobs of a step by the queue of their current attempts; None: they have none yet."""
    statement = (
        select(attempts.c.queue, func.count())
        .select_from(_JOINED)
        .where(nodes.c.run_id == run, nodes.c.step == step, nodes.c.kind == "job")
        .group_by(attempts.c.queue)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def items(connection: Connection, run: str, scatter: str) -> int:
    """Count the items of a scatter."""
    statement = select(func.count()).where(nodes.c.run_id == run, nodes.c.parent == scatter)
    return int(connection.execute(statement).scalar_one())


def waiting(connection: Connection, queue: str) -> int:
    """Count the steps of all runs that wait in a queue: nobody has claimed them."""
    statement = select(func.count()).where(attempts.c.state == AttemptState.QUEUED, attempts.c.queue == queue)
    return int(connection.execute(statement).scalar_one())


def step_names(connection: Connection, run: str) -> list[str]:
    """Return the step paths of a run, oldest first, without the run itself."""
    statement = (
        select(nodes.c.step)
        .where(nodes.c.run_id == run, nodes.c.step != "")
        .group_by(nodes.c.step)
        .order_by(func.min(nodes.c.created), nodes.c.step)
    )
    return list(connection.execute(statement).scalars())
