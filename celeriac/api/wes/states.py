"""The state of a run in the words of WES 1.1 (State). Pure.

PAUSED is a run that nobody goes on with: the process of its `celeriac run` has died, and `celeriac resume` would.
PREEMPTED is one whose step lost its worker, or was ended from outside, too often.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celeriac.states import RunState

#: Types of errors by which hosts, workers and services fail a run, not its tools or its document.
_SYSTEM = frozenset(
    {
        "DiskFull", "EngineUnreachable", "EnginePermissionDenied", "HostTooSmall", "ImageNotFound", "NameTaken",
        "MountRefused", "UnavailableError", "BrokerUnavailable", "JournalUnavailable", "ContainerError",
        "IllegalMove", "CeleriacError",
    }
)  # fmt: skip
_TAKEN = frozenset({"KilledFromOutside", "WorkerLost"})
_SIMPLE = {
    RunState.PENDING: "QUEUED",
    RunState.SUCCESS: "COMPLETE",
    RunState.CANCELING: "CANCELING",
    RunState.CANCELED: "CANCELED",
}

STATES = (
    "UNKNOWN", "QUEUED", "INITIALIZING", "RUNNING", "PAUSED", "COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED",
    "CANCELING", "PREEMPTED",
)  # fmt: skip


def state(found: str, error: Mapping[str, Any] | None = None, *, begun: bool = True, interrupted: bool = False) -> str:
    """Return a run's state; ``begun``: a worker has taken a step, ``interrupted``: nobody goes on with it."""
    if found not in RunState.__members__:
        return "UNKNOWN"  # a newer Celeriac wrote it
    known = RunState(found)
    if known is RunState.FAILED:
        return failure((error or {}).get("type"))
    if interrupted and known in (RunState.PENDING, RunState.RUNNING):
        return "PAUSED"
    if known is RunState.RUNNING:
        return "RUNNING" if begun else "INITIALIZING"
    return _SIMPLE[known]


def failure(kind: str | None) -> str:
    """Return the state of a run that failed with an error of that type."""
    if kind in _TAKEN:
        return "PREEMPTED"
    return "SYSTEM_ERROR" if kind in _SYSTEM else "EXECUTOR_ERROR"
