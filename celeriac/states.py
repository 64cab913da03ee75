"""The states of runs, nodes and attempts, and every legal move between them.

One table a kind; ``docs/states.md`` draws them. Only the scheduler moves a run or a node; a worker
moves an attempt from QUEUED to RUNNING (the claim) and from RUNNING to REPORTED. What has ended moves
only when `celeriac retry` opens its run again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from celeriac.errors import CeleriacError


class RunState(StrEnum):
    """The state of a run."""

    PENDING = "PENDING"  # in the journal, nothing scheduled yet
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELING = "CANCELING"  # cancel was asked for, tools may still be ending
    CANCELED = "CANCELED"


class NodeState(StrEnum):
    """The state of a node: one activation of a step, a scatter or a workflow."""

    PENDING = "PENDING"  # an item of a scatter whose turn has not come
    READY = "READY"  # inputs are known; expressions not evaluated yet
    QUEUED = "QUEUED"  # an attempt of a tool is out
    RUNNING = "RUNNING"  # a scatter or workflow whose parts are under way
    SUCCESS = "SUCCESS"
    SKIPPED = "SKIPPED"  # `when` was false: all outputs are null
    FAILED = "FAILED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"  # can't run: a step that it needs failed
    CANCELED = "CANCELED"


class AttemptState(StrEnum):
    """The state of an attempt: one try to run a tool."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"  # claimed by a worker that holds the lease
    REPORTED = "REPORTED"  # the worker wrote exit code and outcome
    SETTLED = "SETTLED"  # the scheduler drew its conclusion
    LOST = "LOST"  # the lease ran out: the worker is gone
    CANCELED = "CANCELED"


class Outcome(StrEnum):
    """What a worker reports of an attempt."""

    SUCCESS = "success"
    PERMANENT = "permanentFail"  # the tool's own failure (CWL permanentFailCodes)
    TEMPORARY = "temporaryFail"  # the tool's own word that a retry may help (temporaryFailCodes)
    OUT_OF_MEMORY = "outOfMemory"  # it used more than it had: more memory may help
    INFRASTRUCTURE = "infrastructure"  # worker, engine or host; never the tool's fault
    CANCELED = "canceled"
    HANDED_BACK = "handedBack"  # its worker was told to end: it counts for nothing


#: What ended stays so, unless `celeriac retry` opens the run again.
RUN_ENDED = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELED})
NODE_ENDED = frozenset(
    {NodeState.SUCCESS, NodeState.SKIPPED, NodeState.FAILED, NodeState.UPSTREAM_FAILED, NodeState.CANCELED}
)
ATTEMPT_ENDED = frozenset({AttemptState.SETTLED, AttemptState.LOST, AttemptState.CANCELED})

RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELING, RunState.CANCELED}),
    RunState.RUNNING: frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELING}),
    RunState.CANCELING: frozenset({RunState.CANCELED}),
    RunState.SUCCESS: frozenset({RunState.RUNNING}),
    RunState.FAILED: frozenset({RunState.RUNNING}),
    RunState.CANCELED: frozenset({RunState.RUNNING}),
}

NODE_MOVES: dict[NodeState, frozenset[NodeState]] = {
    NodeState.PENDING: frozenset({NodeState.READY, NodeState.FAILED, NodeState.CANCELED}),
    NodeState.READY: frozenset(
        {
            NodeState.QUEUED,
            NodeState.RUNNING,
            NodeState.SUCCESS,
            NodeState.SKIPPED,
            NodeState.FAILED,
            NodeState.CANCELED,
        }
    ),
    NodeState.QUEUED: frozenset({NodeState.SUCCESS, NodeState.FAILED, NodeState.CANCELED}),
    NodeState.RUNNING: frozenset({NodeState.SUCCESS, NodeState.FAILED, NodeState.CANCELED}),
    NodeState.SUCCESS: frozenset({NodeState.QUEUED, NodeState.RUNNING}),
    NodeState.SKIPPED: frozenset(),
    NodeState.FAILED: frozenset({NodeState.PENDING, NodeState.READY, NodeState.QUEUED, NodeState.RUNNING}),
    NodeState.UPSTREAM_FAILED: frozenset(),
    NodeState.CANCELED: frozenset({NodeState.PENDING, NodeState.READY, NodeState.QUEUED, NodeState.RUNNING}),
}

ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.QUEUED: frozenset({AttemptState.RUNNING, AttemptState.CANCELED}),
    AttemptState.RUNNING: frozenset({AttemptState.REPORTED, AttemptState.LOST, AttemptState.CANCELED}),
    AttemptState.REPORTED: frozenset({AttemptState.SETTLED}),
    AttemptState.SETTLED: frozenset(),
    AttemptState.LOST: frozenset(),
    AttemptState.CANCELED: frozenset(),
}

State = TypeVar("State", RunState, NodeState, AttemptState)


class IllegalMove(CeleriacError):
    """A state was to change in a way that the tables forbid: a bug, never a user's mistake."""


def move(moves: dict[State, frozenset[State]], old: State, new: State) -> State:
    """Return ``new`` if it may follow ``old``; staying is legal for no state.

    Raises :class:`IllegalMove` otherwise.
    """
    if new not in moves[old]:
        raise IllegalMove(f"{type(old).__name__}: {old} can't become {new}", old=str(old), new=str(new))
    return new
