"""The steps of a run as people see them: a scatter is one step, however many items it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celeriac.states import NODE_ENDED, NodeState

#: Ended as its author meant it to.
DONE = frozenset({NodeState.SUCCESS, NodeState.SKIPPED})

#: The states that a step of many jobs takes over from the first of its jobs that has one of them.
_OPEN = (NodeState.RUNNING, NodeState.QUEUED, NodeState.READY, NodeState.PENDING)
_BEFORE = (NodeState.PENDING, NodeState.READY, NodeState.UPSTREAM_FAILED)
_BAD = (NodeState.FAILED, NodeState.CANCELED, NodeState.UPSTREAM_FAILED)


@dataclass(frozen=True)
class StepView:
    """One step: its jobs (or, of a subworkflow, its activations) counted by state."""

    step: str  # path without indexes; "" is the run itself
    kind: str  # job, workflow, scatter
    state: NodeState
    states: Mapping[str, int]  # of its jobs or activations; states that none is in are left out
    started: float | None = None  # when the first of its tools started
    ended: float | None = None  # when the last ended, once all have
    running_since: float | None = None  # when the first of those that run now started
    queue: str | None = None
    host: str | None = None
    hosts: int = 0  # how many were used, 2 for more than one
    exit_code: int | None = None  # of one that failed, else of a job that is alone
    jobs: bool = True  # whether its parts are jobs, not activations of a subworkflow
    reused: int = 0  # how many took what an earlier run made

    @property
    def total(self) -> int:
        """How many jobs or activations there are."""
        return sum(self.states.values())

    @property
    def done(self) -> int:
        """How many have ended well."""
        return sum(self.states.get(state, 0) for state in DONE)

    @property
    def running(self) -> int:
        """How many run now."""
        return self.states.get(NodeState.RUNNING, 0)

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.states.get(NodeState.FAILED, 0)

    @property
    def single(self) -> bool:
        """Whether it needs no count: no scatter, and there just once."""
        return self.total <= 1 and self.kind != "scatter"

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in NODE_ENDED


@dataclass(frozen=True)
class RunView:
    """All steps of a run at one moment."""

    steps: Sequence[StepView]  # oldest first, without the run's own workflow
    waiting: int  # steps that are not in the journal yet, since what they need is not there

    def jobs(self) -> dict[str, int]:
        """Return all jobs counted by state."""
        found: dict[str, int] = {}
        for step in self.steps:
            if step.jobs:
                for state, number in step.states.items():
                    found[state] = found.get(state, 0) + number
        return found


def view(rows: Iterable[Any]) -> RunView:
    """Build the picture from :func:`celeriac.journal.views.steps`."""
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.step, []).append(row)
    found = [_step(step, group) for step, group in groups.items() if step or group[0].kind == "job"]
    return RunView(found, _waiting(groups))


def _step(step: str, group: Sequence[Any]) -> StepView:
    scatters = [row for row in group if row.kind == "scatter"]
    parts = [row for row in group if row.kind != "scatter"]
    states = _count(parts)
    # a scatter that was not expanded, or over nothing, speaks for itself
    state = _state(states or _count(scatters), any(row.state not in NODE_ENDED for row in scatters))
    jobs = any(row.kind == "job" for row in parts)
    started = _least(row.started for row in parts)
    if not jobs and started is None:
        started = _least(row.created for row in group if row.state not in _BEFORE)
    hosts = {host for row in parts for host in (row.host, row.other_host) if host}
    queues = {queue for row in parts for queue in (row.queue, row.other_queue) if queue}
    return StepView(
        step=step,
        kind="scatter" if scatters else "job" if jobs else "workflow",
        state=state,
        states=states,
        started=started,
        ended=max((row.ended for row in group if row.ended), default=None) if state in NODE_ENDED else None,
        running_since=_least(row.started for row in parts if row.state == NodeState.RUNNING),
        queue=", ".join(sorted(queues)) or None,
        host=min(hosts, default=None),
        hosts=len(hosts),
        exit_code=_exit_code(parts),
        jobs=jobs,
        reused=sum(row.reused or 0 for row in parts),
    )


def _exit_code(parts: Sequence[Any]) -> int | None:
    failed = [row for row in parts if row.state == NodeState.FAILED]
    for row in failed or (parts if sum(row.number for row in parts) == 1 else ()):
        if row.exit_code is not None:
            return int(row.exit_code)
    return None


def _count(rows: Iterable[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.state] = found.get(row.state, 0) + row.number
    return found


def _state(states: Mapping[str, int], scatter_open: bool) -> NodeState:
    still = [state for state in _OPEN if state in states]
    if still:
        begun = NodeState.RUNNING in still or len(states) > len(still)
        return NodeState.RUNNING if begun else still[0]
    if scatter_open:
        return NodeState.RUNNING
    bad = next((state for state in _BAD if state in states), None)
    return bad or (NodeState.SUCCESS if NodeState.SUCCESS in states else NodeState.SKIPPED)


def _waiting(groups: Mapping[str, Sequence[Any]]) -> int:
    """Count the steps of running workflows that have no node: what remains less what is there and open."""
    remaining = present = 0
    for step, group in groups.items():
        scattered = any(row.kind == "scatter" for row in group)
        for row in group:
            if row.state in NODE_ENDED:
                continue
            if row.kind == "workflow":
                remaining += row.remaining or 0
            if step and (row.kind == "scatter" or not scattered):
                present += row.number
    return max(0, remaining - present)


def _least(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)
