"""What may be told of: changes of a run and of its steps, and what is known of the run at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from celeriac.states import NodeState, RunState


class Task(StrEnum):
    """The state of a step, in the words of CWL-Airflow's listeners."""

    SUBMITTED = "submitted"  # told in events alone: the old listeners know no such state
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    UP_FOR_RETRY = "up_for_retry"
    UPSTREAM_FAILED = "upstream_failed"


@dataclass(frozen=True)
class StepChange:
    """A step, as a whole if it is a scatter, has come to a state. ``path`` is empty for a run of one tool."""

    path: str
    state: Task


@dataclass(frozen=True)
class RunChange:
    """A run has begun (RUNNING) or ended."""

    state: RunState


Change = StepChange | RunChange


@dataclass(frozen=True)
class About:
    """The run that it is about."""

    run: str  # its id here
    name: str  # the document's file name
    dag_id: str
    run_id: str  # the id that its caller gave it, else its id here


@dataclass(frozen=True)
class Facts:
    """What is known of a run when its notices are written; only what they need."""

    progress: int = 0
    error: str = ""
    results: Any = None
    statistics: Mapping[str, Any] = field(default_factory=dict)
    logs: Mapping[str, Any] = field(default_factory=dict)
    traces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by path: Nextflow's trace fields
    time: float = 0.0  # seconds since the epoch


@dataclass(frozen=True)
class Notice:
    """What one listener is told."""

    route: str  # progress, status, results, weblog
    payload: dict[str, Any]


def dag_id(workflow: str | None, name: str) -> str:
    """Return a workflow's name: the one that it was asked for by, else its file's without the suffix."""
    stem, dot, suffix = name.rpartition(".")
    return workflow or (stem if dot and stem and suffix.lower() in ("cwl", "json", "yml", "yaml") else name)


def is_told(path: str) -> bool:
    """Whether listeners are told of a node: items of a scatter, and what is in them, are counted, not told of."""
    return "[" not in path


def ended_as(state: NodeState) -> Task:
    """Return the state of a step that has ended; one that was skipped did as its author meant it to."""
    if state in (NodeState.SUCCESS, NodeState.SKIPPED):
        return Task.SUCCESS
    return Task.UPSTREAM_FAILED if state is NodeState.UPSTREAM_FAILED else Task.FAILED


def is_success(change: Change) -> bool:
    """Whether a step has succeeded."""
    return isinstance(change, StepChange) and change.state is Task.SUCCESS


def is_end(change: Change) -> bool:
    """Whether a run has ended."""
    return isinstance(change, RunChange) and change.state is not RunState.RUNNING
