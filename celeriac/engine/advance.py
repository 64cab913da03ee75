"""Advance a run: settle reports, start what became ready, end what has ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from celeriac.engine import intermediate
from celeriac.engine.conclusions import conclude
from celeriac.engine.dispatch import Dispatch, dispatch
from celeriac.engine.finish import end, finish
from celeriac.engine.prepare import Prepared, is_quick, prepare
from celeriac.engine.turn import Ended, Turn
from celeriac.errors import CeleriacError
from celeriac.journal import attempts, nodes, runs
from celeriac.scheduler.fairness import share
from celeriac.states import RUN_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine, Message

log = logging.getLogger(__name__)

#: How many nodes are prepared before their dispatch is committed.
PORTION = 64


def advance(engine: Engine, run: str) -> None:
    """Do all that can be done for a run now. Safe to call at any time, twice, and in parallel."""
    ended, behind = _turn(engine, run)
    while ended is None and behind:
        with engine.database.read() as connection:
            row = runs.short(connection, run)
            ready = nodes.ready(connection, run, PORTION)
        if row is None or row.state != RunState.RUNNING or row.stopping or not ready:
            return
        document = engine.document(row.document)
        prepared = [prepare(engine, row, document, node) for node in ready]
        ended = _dispatch(engine, run, prepared)
    if ended:
        finish(engine, run)


def settle(engine: Engine, run: str) -> bool:
    """Draw the conclusions from the reports on a run's attempts, and start what needs no expression for that.

    The rest is left to :func:`advance`; returns whether there is none.
    """
    ended, behind = _turn(engine, run, reports_alone=True)
    return not ended and not behind


def _turn(engine: Engine, run: str, *, reports_alone: bool = False) -> tuple[bool | None, bool]:
    """One turn over all reports. True: the root has ended; False: the run has; None: it goes on.

    Tells also whether there may be nodes whose turn it is.
    """
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None or RunState(row.state) in RUN_ENDED:
            return False, False
        turn = Turn(engine, connection, row)
        if turn.state is RunState.PENDING:
            runs.change(connection, run, RunState.PENDING, RunState.RUNNING)
            turn.state = RunState.RUNNING
            if turn.notes is not None:
                turn.notes.began()
            turn.start_root()
        conclude(turn, attempts.reported(connection, run))
        if not reports_alone:
            turn.look_at_root()
            turn.behind = True
        _start_fresh(turn)
        verdict = close(turn)
        messages = turn.flush()
    _send(engine, run, messages, verdict)
    intermediate.remove(engine, run, turn.well)
    return verdict, turn.behind


def _start_fresh(turn: Turn) -> None:
    """Dispatch what this turn has made ready, where no expression has to be evaluated for that."""
    left = PORTION
    while turn.fresh and left > 0 and not turn.halted:
        found, turn.fresh = turn.fresh[:left], turn.fresh[left:]
        left -= len(found)
        quick = [node for node in found if is_quick(turn.graph, node)]
        turn.behind = turn.behind or len(quick) < len(found)
        document = turn.engine.document(turn.run.document)
        _apply(turn, [prepare(turn.engine, turn.run, document, node) for node in quick])
    turn.behind = turn.behind or bool(turn.fresh)


def _send(engine: Engine, run: str, messages: Sequence[tuple[int | None, Message]], verdict: bool | None) -> None:
    engine.send(run, messages)
    if verdict is False:
        engine.on_end(run)


def close(turn: Turn) -> bool | None:
    """See whether the run is over. True: its root has ended; False: the run has; None: it goes on."""
    if turn.root_ended and turn.state is RunState.RUNNING:
        return True
    if turn.halted:
        turn.cancel_queued()
        if attempts.open_count(turn.connection, turn.id) == 0:
            end(turn)
            return False
    return None


def _dispatch(engine: Engine, run: str, prepared: list[Prepared]) -> bool | None:
    with engine.database.begin() as connection:
        row = runs.lock(connection, run)
        if row is None or RunState(row.state) in RUN_ENDED:
            return False
        turn = Turn(engine, connection, row)
        if not turn.halted:
            wanted = nodes.still(connection, run, [p.node.path for p in prepared], NodeState.READY)
            _apply(turn, [p for p in prepared if p.node.path in wanted])
            _start_fresh(turn)
        verdict = close(turn)
        messages = turn.flush()
    _send(engine, run, messages, verdict)
    intermediate.remove(engine, run, turn.well)
    return verdict


def _apply(turn: Turn, prepared: list[Prepared]) -> None:
    ended: list[Ended] = []
    jobs = [p for p in prepared if p.job is not None]
    _queue(turn, jobs)
    for one in prepared:
        node = one.node
        if one.error is not None:
            log.debug("step %s failed before it ran", node.path, exc_info=one.error)
            ended.append(_failed(turn, node, one.error))
        elif one.skipped:
            nodes.change(turn.connection, turn.id, [node.path], NodeState.SKIPPED, outputs={})
            ended.append(Ended(node.path, node.parent, node.step, NodeState.SKIPPED))
        elif one.scatter is not None:
            ended += _scatter(turn, one)
        elif one.workflow is not None:
            ended += _workflow(turn, one)
    turn.ended(ended)


def _failed(turn: Turn, node: Any, error: CeleriacError) -> Ended:
    data = error.to_dict()
    nodes.change(turn.connection, turn.id, [node.path], NodeState.FAILED, error=data)
    return Ended(node.path, node.parent, node.step, NodeState.FAILED, data)


def _queue(turn: Turn, prepared: list[Prepared]) -> None:
    jobs, inputs = [], {}
    for one in prepared:
        node, job = one.node, one.job
        assert job is not None
        inputs[node.path] = job.inputs
        granted = None if job.expression else job.place.granted.to_json()
        scatter = node.parent if node.idx is not None else None
        jobs.append(
            Dispatch(node.path, job.place.queue, job.ask.to_json(), granted, job.tool, scatter=scatter)
        )
    dispatch(turn, jobs, inputs)


def _scatter(turn: Turn, one: Prepared) -> list[Ended]:
    expansion, node = one.scatter, one.node
    assert expansion is not None
    width = expansion.width
    values: dict[str, Any] = {"shape": list(expansion.shape), "inputs": expansion.common}
    nodes.change(turn.connection, turn.id, [node.path], NodeState.RUNNING, remaining=width, failed=0, **values)
    if turn.notes is not None:
        turn.notes.expanded(node.path)
    if width == 0:
        row = nodes.count_down(turn.connection, turn.id, node.path, 0, 0)
        return turn.items_ended(row)
    process = turn.graph.at(node.step)
    kind = "workflow" if process.steps is not None else "job"
    window = share(turn.engine.width(None).window, nodes.scatters(turn.connection, turn.id))
    rows = (
        {
            "run_id": turn.id,
            "path": f"{node.path}[{number}]",
            "parent": node.path,
            "step": node.step,
            "kind": kind,
            "idx": number,
            "state": NodeState.READY if number < window else NodeState.PENDING,
            "inputs": own,
        }
        for number, own in enumerate(expansion.items())
    )
    nodes.add(turn.connection, rows)
    turn.behind = True
    return []


def _workflow(turn: Turn, one: Prepared) -> list[Ended]:
    process = turn.graph.at(one.node.step)
    assert process.steps is not None
    values: dict[str, Any] = {"inputs": one.workflow, "remaining": len(process.steps), "failed": 0}
    nodes.change(turn.connection, turn.id, [one.node.path], NodeState.RUNNING, **values)
    if turn.notes is not None:
        turn.notes.expanded(one.node.path)
    row = nodes.count_down(turn.connection, turn.id, one.node.path, 0, 0)
    if not process.steps:
        return [turn.finish_workflow(row, process)]
    return turn.activate(row, process, list(process.steps))
