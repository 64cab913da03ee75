"""Open an ended run again: what failed or never ran is done, what is there stays (`celeriac retry`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celeriac.engine import secret
from celeriac.engine.advance import close
from celeriac.engine.dispatch import Dispatch, dispatch
from celeriac.engine.turn import Ended, Turn
from celeriac.errors import NotFoundError, UsageError
from celeriac.job.whole import is_there
from celeriac.journal import attempts, nodes, runs
from celeriac.journal.tables import Record
from celeriac.resources import Ask, Resources
from celeriac.scheduler.fairness import share
from celeriac.scheduler.placement import Placement, climb, placement
from celeriac.scheduler.readiness import DONE
from celeriac.scheduler.reopen import Done, Plan, plan
from celeriac.scheduler.retry import Cause
from celeriac.states import RUN_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine, Message


@dataclass(frozen=True)
class Reopened:
    """A run that goes on."""

    messages: Sequence[tuple[int | None, Message]]  # to be sent
    kept: int  # steps whose outputs stay


def reopen(engine: Engine, run: str, step: str = "") -> Reopened:
    """Open a run that has ended; with ``step`` that one and all that depends on it is done again in any case.

    The run keeps its id, its inputs and its document; its queues are those of the queue file as it is now.
    Raises :class:`~celeriac.errors.UsageError` when it has not ended or there is nothing to do,
    :class:`~celeriac.errors.NotFoundError` when there is no such run or step,
    :class:`~celeriac.errors.PlacementError` when a step that runs again fits no queue any more.
    """
    with engine.database.read() as connection:
        missing = [path for path, outputs in nodes.successes(connection, run) if not is_there(outputs)]
    queues = tuple(engine.queues)
    with engine.database.begin() as connection:
        row = _ended(runs.lock(connection, run), run, step)
        secret.of(engine, run, engine.options(run, row.options))  # not without them
        old = {node.path: _done(node) for node in nodes.of_run(connection, run)}
        anew = [*_named(engine, row, old.values(), step), *missing]
        made = plan(engine.document(row.document).graph, old.values(), anew)
        runs.reopen(connection, run, RunState(row.state), queues=[queue.to_json() for queue in queues])
        opened = runs.lock(connection, run)
        assert opened is not None
        turn = Turn(engine, connection, opened)
        if turn.notes is not None:
            turn.notes.began()
        _apply(turn, made, old)
        close(turn)
        turn.message("advance")
        messages = turn.flush()
        kept = sum(node.kind == "job" and node.state in DONE and made.keeps(node.path) for node in old.values())
    return Reopened(messages, kept)


def _ended(row: Record | None, run: str, step: str) -> Record:
    if row is None:
        raise NotFoundError(f"there is no run {run}", hint="`celeriac list` shows what there is")
    if RunState(row.state) not in RUN_ENDED:
        raise UsageError(
            f"run {run} is {row.state}: only a run that has ended can be tried again",
            hint=f"`celeriac resume {run}` goes on with one whose process died, `celeriac cancel {run}` ends it",
        )
    if row.state == RunState.SUCCESS and not step:
        raise UsageError(f"run {run} has succeeded: there is nothing to do again", hint="--from STEP names a step")
    return row


def _done(node: Record) -> Done:
    begun = node.attempt is not None if node.kind == "job" else node.remaining is not None
    return Done(node.path, node.parent, node.step, node.kind, NodeState(node.state), node.idx, begun)


def _named(engine: Engine, row: Record, known: Iterable[Done], step: str) -> list[str]:
    """Return the paths of the nodes that ``step`` names: a path, or a step's address with all its activations."""
    if not step:
        return []
    exact = [node.path for node in known if node.path == step]
    found = exact or [node.path for node in known if node.step == step and node.idx is None]
    if found or any(address == step for address, _ in engine.document(row.document).graph.walk()):
        return found
    raise NotFoundError(
        f"run {row.id} has no step {step!r}", hint=f"`celeriac status {row.id}` shows its steps", step=step
    )


# --- within the turn -----------------------------------------------------------------------------


def _apply(turn: Turn, made: Plan, old: dict[str, Done]) -> None:
    for path in made.forget:
        nodes.forget(turn.connection, turn.id, path)
    nodes.reopen(turn.connection, turn.id, made.prepare, NodeState.READY)
    nodes.reopen(turn.connection, turn.id, made.wait, NodeState.PENDING)
    for path, remaining in made.reopen.items():
        nodes.reopen(turn.connection, turn.id, [path], NodeState.RUNNING, remaining=remaining, failed=0)
    if not old:
        turn.start_root()
    _again(turn, made.again)
    ended: list[Ended] = []
    for path in made.reopen:
        ended += _go_on(turn, path)
    turn.ended(ended)


def _again(turn: Turn, paths: Iterable[str]) -> None:
    """Queue another attempt of each, with the inputs that it had, where it fits now."""
    jobs = []
    for last in attempts.latest(turn.connection, turn.id, paths):
        place = _place(turn, last)
        queue, granted = (last.queue, None) if place is None else (place.queue, place.granted.to_json())
        scatter = last.parent if last.idx is not None else None
        jobs.append(Dispatch(last.path, queue, last.asked, granted, last.tool, scatter=scatter))
    nodes.reopen(turn.connection, turn.id, paths, NodeState.READY)
    dispatch(turn, jobs)


def _place(turn: Turn, last: Record) -> Placement | None:
    if last.granted is None:
        return None
    ask = Ask.from_json(last.asked)
    if last.cause == Cause.MEMORY and turn.engine.limited:
        had = Placement(last.queue, Resources(**last.granted))
        return climb(ask, had, turn.queues) or had
    return placement(ask, turn.queues, limited=turn.engine.limited, step=last.path or turn.run.name)


def _go_on(turn: Turn, path: str) -> list[Ended]:
    """Start what can start in a scatter or workflow that was opened again; end it where nothing is left to do."""
    row = nodes.count_down(turn.connection, turn.id, path, 0, 0)
    if row.kind == "scatter":
        if row.remaining:
            window = share(turn.engine.width(row.seconds).window, nodes.scatters(turn.connection, turn.id))
            nodes.promote(turn.connection, turn.id, path, window)
        return turn.items_ended(row)
    process = turn.graph.at(row.step)
    if not row.remaining:
        return [turn.finish_workflow(row, process)]
    return turn.activate(row, process, list(process.steps or {}))
