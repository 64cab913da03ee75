"""What a turn concludes from workers' reports: success, another attempt, failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from celeriac.engine.dispatch import Dispatch, dispatch
from celeriac.engine.turn import Ended, Turn
from celeriac.graph.paths import address
from celeriac.journal import attempts, nodes
from celeriac.journal.tables import Record
from celeriac.resources import Ask, Resources
from celeriac.scheduler.placement import Placement, climb
from celeriac.scheduler.retry import Cause, Verdict, cause
from celeriac.states import NODE_ENDED, NodeState, Outcome, RunState


def conclude(turn: Turn, reports: Sequence[Record]) -> None:
    """Draw the conclusions from workers' reports."""
    ended: list[Ended] = []
    succeeded: list[str] = []
    settled: dict[Cause | None, list[str]] = defaultdict(list)
    for report in reports:
        gone = NodeState(report.node_state) in NODE_ENDED  # the step was cancelled meanwhile
        found = cause(Outcome(report.outcome), report.error, wanted=not gone and turn.state is RunState.RUNNING)
        settled[found].append(report.id)
        if gone:
            continue
        verdict, pause = judge(turn, found, report)
        if verdict in (Verdict.RETRY, Verdict.CLIMB) and again(turn, report, verdict, pause):
            continue
        state = {
            Verdict.SUCCEED: NodeState.SUCCESS,
            Verdict.CANCEL: NodeState.CANCELED,
        }.get(verdict, NodeState.FAILED)
        if state is NodeState.SUCCESS:
            succeeded.append(report.path)
        else:
            nodes.change(turn.connection, turn.id, [report.path], state, error=report.error)
        seconds = report.ended - report.started
        ended.append(Ended(report.path, report.parent, report.step, state, report.error, seconds))
    nodes.change(turn.connection, turn.id, succeeded, NodeState.SUCCESS)
    for found, ids in settled.items():
        attempts.settle(turn.connection, ids, found)
    turn.ended(ended)


def judge(turn: Turn, found: Cause | None, attempt: Record) -> tuple[Verdict, float]:
    """Return what follows an attempt that ended for this cause, and the seconds to wait before it."""
    if found is None:
        return Verdict.SUCCEED, 0.0
    count, own = 1, None
    if attempt.number > 1:
        count += times(turn, found, attempt)
    if found is Cause.TEMPORARY:
        own = turn.graph.at(address(attempt.path)).retry
    policy = turn.engine.policy
    return policy.decide(found, count, own), policy.pause(found, count, own)


def times(turn: Turn, found: Cause, attempt: Record) -> int:
    """Count the other attempts at a node that ended for this cause since the run was opened the last time."""
    return attempts.failures(turn.connection, turn.id, attempt.path, found, turn.run.opened, other_than=attempt.id)


def again(turn: Turn, attempt: Record, verdict: Verdict, pause: float = 0.0) -> bool:
    """Queue the next attempt of a node; False when nothing new may start, or there is no more memory to give."""
    if turn.halted:
        return False
    queue, granted = attempt.queue, attempt.granted
    if verdict is Verdict.CLIMB:
        rung = _rung(turn, attempt)
        if rung is None:
            return False
        queue, granted = rung.queue, rung.granted.to_json()
    if turn.notes is not None:
        turn.notes.again(attempt.path)
    number = attempt.number + 1
    dispatch(turn, [Dispatch(attempt.path, queue, attempt.asked, granted, attempt.tool, number, due=pause)])
    return True


def _rung(turn: Turn, attempt: Record) -> Placement | None:
    if not turn.engine.limited or not attempt.granted:
        return None
    return climb(Ask.from_json(attempt.asked), Placement(attempt.queue, Resources(**attempt.granted)), turn.queues)
