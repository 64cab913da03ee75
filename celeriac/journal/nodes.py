"""Nodes in the journal: activations of steps, scatters and workflows."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Float,
    Integer,
    Text,
    Update,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from celeriac.document.values import loads
from celeriac.journal.database import now
from celeriac.journal.paths import below
from celeriac.journal.tables import Record, Value, attempts, nodes
from celeriac.states import ATTEMPT_ENDED, NODE_ENDED, NodeState

#: Paths or rows in one statement, at most.
_PORTION = 500
_OUTPUTS = func.coalesce(nodes.c.outputs, attempts.c.outputs, type_=Value).label("outputs")
_OUTPUTS_TEXT = cast(_OUTPUTS, Text)
_JOINED = nodes.outerjoin(attempts, attempts.c.id == nodes.c.attempt)


def add(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Insert nodes; each row names path, parent, step, kind, idx, state and what else it has.

    Rows are taken by the portion: those of a large scatter are never all there at once.
    """
    left = iter(rows)
    while portion := [{**_EMPTY, **row} for row in itertools.islice(left, _PORTION)]:
        for statement, part in (
            (_ADD, [row for row in portion if row["state"] not in NODE_ENDED]),
            (_ADD_ENDED, [row for row in portion if row["state"] in NODE_ENDED]),
        ):
            if part:
                connection.execute(statement, part)


_ADD = insert(nodes).values(created=now())
_ADD_ENDED = insert(nodes).values(created=now(), ended=now())
_EMPTY: dict[str, Any] = {
    "parent": None, "idx": None, "inputs": None, "outputs": None, "attempt": None, "remaining": None,
    "failed": None, "shape": None, "seconds": None, "error": None,
}  # fmt: skip


def get(connection: Connection, run: str, path: str) -> Record | None:
    """Return one node with its outputs, or None."""
    columns = [c for c in nodes.c if c.name != "outputs"]
    statement = select(*columns, _OUTPUTS).select_from(_JOINED).where(nodes.c.run_id == run, nodes.c.path == path)
    return connection.execute(statement).first()


_RUN: BindParameter[str] = bindparam("run")
_PATH: BindParameter[str] = bindparam("node")
_PATHS: BindParameter[str] = bindparam("paths", expanding=True)


def end(connection: Connection, run: str, path: str) -> Record | None:
    """Return a node's state, error and outputs, without its inputs; None when it isn't there."""
    statement = select(nodes.c.state, nodes.c.error, _OUTPUTS).select_from(_JOINED)
    return connection.execute(statement.where(nodes.c.run_id == run, nodes.c.path == path)).first()


_READY = (
    select(nodes.c.path, nodes.c.parent, nodes.c.step, nodes.c.kind, nodes.c.idx, nodes.c.inputs)
    .where(nodes.c.run_id == bindparam("run"), nodes.c.state == NodeState.READY)
    .order_by(nodes.c.parent, nodes.c.idx)
    .limit(bindparam("limit"))
)


def ready(connection: Connection, run: str, limit: int) -> Sequence[Record]:
    """Return nodes whose turn it is."""
    return connection.execute(_READY, {"run": run, "limit": limit}).all()


_STILL = select(nodes.c.path).where(nodes.c.run_id == _RUN, nodes.c.path.in_(_PATHS), nodes.c.state == bindparam("in_"))


def still(connection: Connection, run: str, paths: Iterable[str], state: NodeState) -> set[str]:
    """Return those of ``paths`` that are in ``state`` now."""
    return set(connection.execute(_STILL, {"run": run, "paths": list(paths), "in_": state}).scalars())


def change(connection: Connection, run: str, paths: list[str], state: NodeState, **values: Any) -> None:
    """Move nodes to ``state`` and set ``values``; a node that has ended stays as it is."""
    if paths:
        new = {f"new_{name}": value for name, value in values.items()}
        statement = _change(tuple(values), state in NODE_ENDED)
        connection.execute(statement, {"run": run, "paths": paths, "new_state": state, **new})


@functools.cache
def _change(names: tuple[str, ...], ends: bool) -> Update:
    """Return the statement that sets these columns; to build it takes longer than to run it."""
    statement = update(nodes).where(
        nodes.c.run_id == _RUN, nodes.c.path.in_(_PATHS), nodes.c.state.not_in(list(NODE_ENDED))
    )
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=nodes.c[name].type) for name in ("state", *names)}
    return statement.values(**values, **({"ended": now()} if ends else {}))


_QUEUE = (
    update(nodes)
    .where(nodes.c.run_id == bindparam("run"), nodes.c.path == bindparam("node"))
    .values(state=NodeState.QUEUED, attempt=bindparam("new_attempt"), inputs=bindparam("new_inputs", type_=Value))
)


def queue(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Move nodes to QUEUED with their attempt and evaluated inputs, many in one statement."""
    if rows:
        connection.execute(_QUEUE, rows)


def count_down(
    connection: Connection, run: str, path: str, ended: int, failed: int, seconds: float | None = None
) -> Record:
    """Take ``ended`` parts off a scatter or workflow; return what is left and what it is.

    ``seconds``: what each took, where that is known.
    """
    values = {"run": run, "node": path, "less": ended, "more": failed, "took": seconds}
    return connection.execute(_COUNT_DOWN, values).one()


_COUNT_DOWN = (
    update(nodes)
    .where(nodes.c.run_id == _RUN, nodes.c.path == _PATH)
    .values(
        remaining=nodes.c.remaining - bindparam("less", type_=Integer),
        failed=func.coalesce(nodes.c.failed, 0) + bindparam("more", type_=Integer),
        seconds=func.coalesce(bindparam("took", type_=Float), nodes.c.seconds),
    )
    .returning(
        nodes.c.path, nodes.c.parent, nodes.c.step, nodes.c.kind, nodes.c.idx, nodes.c.remaining,
        nodes.c.failed, nodes.c.shape, nodes.c.seconds, nodes.c.state,
    )
)  # fmt: skip


def promote(connection: Connection, run: str, parent: str, number: int) -> int:
    """Give ``number`` waiting items of a scatter their turn; return how many there were."""
    waiting = (
        select(nodes.c.path)
        .where(nodes.c.run_id == run, nodes.c.parent == parent, nodes.c.state == NodeState.PENDING)
        .order_by(nodes.c.idx)
        .limit(number)
    )
    paths = list(connection.execute(waiting).scalars())
    if paths:
        statement = update(nodes).where(nodes.c.run_id == run, nodes.c.path.in_(paths))
        connection.execute(statement.values(state=NodeState.READY))
    return len(paths)


_UNDER_WAY = (NodeState.READY, NodeState.QUEUED, NodeState.RUNNING)
_COUNT_UNDER_WAY = select(func.count()).where(
    nodes.c.run_id == _RUN, nodes.c.parent == bindparam("parent"), nodes.c.state.in_(_UNDER_WAY)
)


def under_way(connection: Connection, run: str, parent: str) -> int:
    """Count the items of a scatter that have had their turn and have not ended."""
    return int(connection.execute(_COUNT_UNDER_WAY, {"run": run, "parent": parent}).scalar_one())


def is_last(connection: Connection, run: str, path: str) -> bool:
    """Whether nothing of a run is left when this node has ended: all others that are open only wait for it."""
    return connection.execute(_OTHERS, {"run": run, "node": path}).first() is None


_OTHERS = (
    select(nodes.c.path)
    .where(nodes.c.run_id == _RUN, nodes.c.state.not_in(list(NODE_ENDED)), nodes.c.path != _PATH)
    .where((nodes.c.kind == "job") | nodes.c.remaining.is_(None) | (nodes.c.remaining > 1))
    .limit(1)
)


def seconds(connection: Connection, run: str, paths: Iterable[str]) -> dict[str, float]:
    """Return what the last items of scatters took, where that is known."""
    statement = select(nodes.c.path, nodes.c.seconds).where(
        nodes.c.run_id == run, nodes.c.path.in_(list(paths)), nodes.c.seconds.is_not(None)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def scatters(connection: Connection, run: str) -> int:
    """Count the scatters of a run that are under way."""
    return int(connection.execute(_SCATTERS, {"run": run}).scalar_one())


_SCATTERS = select(func.count()).where(
    nodes.c.run_id == _RUN, nodes.c.state == NodeState.RUNNING, nodes.c.kind == "scatter"
)
_STATES = select(nodes.c.path, nodes.c.state).where(nodes.c.run_id == _RUN, nodes.c.path.in_(_PATHS))
def states(connection: Connection, run: str, paths: Iterable[str]) -> dict[str, NodeState]:
    """Return the states of those of ``paths`` that exist."""
    found = connection.execute(_STATES, {"run": run, "paths": list(paths)})
    return {path: NodeState(state) for path, state in found}


_OUTPUTS_OF = (
    select(nodes.c.path, _OUTPUTS).select_from(_JOINED).where(nodes.c.run_id == _RUN, nodes.c.path.in_(_PATHS))
)


def outputs(connection: Connection, run: str, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the outputs of those of ``paths`` that have any."""
    found = connection.execute(_OUTPUTS_OF, {"run": run, "paths": list(paths)})
    return {path: value for path, value in found if value is not None}


def item_outputs(connection: Connection, run: str, scatter: str) -> list[dict[str, Any]]:
    """Return the outputs of a scatter's items in their order; a failed or skipped one gives {}.

    Many are read as one text: values of one text share the names of their fields, which are a third of them.
    """
    statement = (
        select(_OUTPUTS_TEXT)
        .select_from(_JOINED)
        .where(nodes.c.run_id == run, nodes.c.parent == scatter)
        .order_by(nodes.c.idx)
    )
    found = connection.execute(statement, execution_options={"yield_per": _PORTION}).scalars()
    return [value for texts in found.partitions() for value in loads(f"[{','.join(text or '{}' for text in texts)}]")]


def inputs(connection: Connection, run: str, path: str) -> dict[str, Any]:
    """Return what is kept as a node's inputs."""
    statement = select(nodes.c.inputs).where(nodes.c.run_id == run, nodes.c.path == path)
    return connection.execute(statement).scalar_one() or {}


def cancel_open(connection: Connection, run: str, states_: Iterable[NodeState] | None = None) -> None:
    """Move to CANCELED what has not ended (and is in ``states_``, if given)."""
    wanted = list(states_) if states_ is not None else [s for s in NodeState if s not in NODE_ENDED]
    statement = update(nodes).where(nodes.c.run_id == run, nodes.c.state.in_(wanted))
    connection.execute(statement.values(state=NodeState.CANCELED, ended=now()))


def of_run(connection: Connection, run: str) -> Sequence[Record]:
    """Return all nodes of a run as a plan needs them to open it again."""
    statement = select(
        nodes.c.path, nodes.c.parent, nodes.c.step, nodes.c.kind, nodes.c.state, nodes.c.idx, nodes.c.attempt,
        nodes.c.remaining,
    ).where(nodes.c.run_id == run)  # fmt: skip
    return connection.execute(statement).all()


def forget(connection: Connection, run: str, path: str) -> None:
    """Delete a node with all its parts; its attempts stay, for people."""
    statement = delete(nodes).where(nodes.c.run_id == run, (nodes.c.path == path) | below(nodes.c.path, path))
    connection.execute(statement)


def reopen(connection: Connection, run: str, paths: Iterable[str], state: NodeState, **values: Any) -> None:
    """Move nodes that have ended to ``state``: their run is opened again."""
    wanted = list(paths)
    for start in range(0, len(wanted), _PORTION):
        statement = update(nodes).where(nodes.c.run_id == run, nodes.c.path.in_(wanted[start : start + _PORTION]))
        connection.execute(statement.values(state=state, outputs=None, error=None, ended=None, **values))


def set_by_hand(connection: Connection, run: str) -> Sequence[Record]:
    """Return the nodes whose last state came from outside: who ends a node notes the time."""
    statement = select(nodes.c.path, nodes.c.parent, nodes.c.step, nodes.c.state, nodes.c.error).where(
        nodes.c.run_id == run, nodes.c.state.in_(list(NODE_ENDED)), nodes.c.ended.is_(None)
    )
    return connection.execute(statement).all()


def note_end(connection: Connection, run: str, paths: list[str], **values: Any) -> None:
    """Note the time of nodes that have ended, and ``values``."""
    statement = update(nodes).where(nodes.c.run_id == run, nodes.c.path.in_(paths))
    connection.execute(statement.values(ended=now(), **values))


def orphans(connection: Connection, run: str) -> Sequence[Record]:
    """Return the queued nodes whose attempt has ended without them: somebody set its state by hand."""
    statement = (
        select(
            nodes.c.path, nodes.c.parent, nodes.c.step, attempts.c.id, attempts.c.number,
            attempts.c.state.label("attempt_state"), attempts.c.owner, attempts.c.queue, attempts.c.asked,
            attempts.c.granted, attempts.c.tool, attempts.c.lane,
        )
        .select_from(nodes.join(attempts, attempts.c.id == nodes.c.attempt))
        .where(
            nodes.c.run_id == run, nodes.c.state == NodeState.QUEUED, attempts.c.state.in_(list(ATTEMPT_ENDED))
        )
    )  # fmt: skip
    return connection.execute(statement).all()


def cancel_below(connection: Connection, run: str, path: str) -> None:
    """Move to CANCELED what has not ended of the parts of a node, and of their parts."""
    statement = update(nodes).where(
        nodes.c.run_id == run, below(nodes.c.path, path), nodes.c.state.not_in(list(NODE_ENDED))
    )
    connection.execute(statement.values(state=NodeState.CANCELED, ended=now()))


def listing(connection: Connection, run: str) -> Sequence[Record]:
    """Return a run's jobs with their current attempts, for people."""
    statement = (
        select(
            nodes.c.path, nodes.c.step, nodes.c.kind, nodes.c.state, nodes.c.error, nodes.c.created, nodes.c.ended,
            attempts.c.id.label("attempt"), attempts.c.number, attempts.c.state.label("attempt_state"),
            attempts.c.queue, attempts.c.host, attempts.c.exit_code, attempts.c.started,
            attempts.c.ended.label("finished"), attempts.c.directory, attempts.c.outcome,
            attempts.c.peak_memory, attempts.c.asked,
        )
        .select_from(_JOINED)
        .where(nodes.c.run_id == run)
        .order_by(nodes.c.created, nodes.c.idx, nodes.c.path)
    )  # fmt: skip
    return connection.execute(statement).all()


def successes(connection: Connection, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the outputs of each job that succeeded, many at a time."""
    statement = (
        select(nodes.c.path, attempts.c.outputs)
        .select_from(nodes.join(attempts, attempts.c.id == nodes.c.attempt))
        .where(nodes.c.run_id == run, nodes.c.state == NodeState.SUCCESS)
    )
    for row in connection.execute(statement, execution_options={"yield_per": _PORTION}):
        yield row.path, row.outputs or {}
