"""Runs and steps in the words of Airflow. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from celeriac.states import NodeState, RunState

#: Seconds after which an order to stop a run has failed.
PATIENCE = 120.0

_RUNS = {
    RunState.PENDING: "running",
    RunState.RUNNING: "running",
    RunState.CANCELING: "running",
    RunState.SUCCESS: "success",
    RunState.FAILED: "failed",
    RunState.CANCELED: "failed",
}
STATES = ("running", "success", "failed")
_STEPS = {
    NodeState.PENDING: "queued",
    NodeState.READY: "queued",
    NodeState.QUEUED: "queued",
    NodeState.RUNNING: "running",
    NodeState.SUCCESS: "success",
    NodeState.SKIPPED: "skipped",
    NodeState.FAILED: "failed",
    NodeState.CANCELED: "failed",
    NodeState.UPSTREAM_FAILED: "upstream_failed",
}


def run_state(found: str) -> str:
    """Return a run's state."""
    return _RUNS[RunState(found)]


def of_words(word: str) -> list[RunState]:
    """Return our states that a word of Airflow's means; none for a word that it does not have."""
    return [state for state, known in _RUNS.items() if known == word]


def step_state(found: Iterable[str]) -> str:
    """Return the state of a step whose parts are in these states."""
    words = {_STEPS[NodeState(state)] for state in found}
    for word in ("failed", "upstream_failed", "running"):
        if word in words:
            return word
    if "queued" in words:
        return "running" if len(words) > 1 else "queued"
    return "success" if "success" in words or not words else "skipped"


def stop_state(created: float, target: str | None, ended: float | None, now: float) -> str:
    """Return the state of an order to stop a run: it has failed when that took too long."""
    if target is None or (ended is not None and ended - created <= PATIENCE):
        return "success"
    return "failed" if (ended or now) - created > PATIENCE else "running"


def instant(text: str) -> float | None:
    """Return the time of the journal that :func:`moment` wrote; None for a text that is none."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except ValueError:
        return None


def moment(seconds: float | None) -> str | None:
    """Return a time of the journal as Airflow writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
