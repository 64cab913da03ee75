"""A step's attempts: what each had and used, where its logs are, and why there was another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celeriac.cli.look import RunFiles, iso
from celeriac.resources import Ask, QueueLimits, Resources
from celeriac.scheduler.placement import Placement, climb
from celeriac.states import AttemptState, Outcome

_OUTCOMES = {
    Outcome.SUCCESS: "success",
    Outcome.PERMANENT: "failed",
    Outcome.TEMPORARY: "failed for now",
    Outcome.OUT_OF_MEMORY: "out of memory",
    Outcome.INFRASTRUCTURE: "infrastructure",
    Outcome.CANCELED: "stopped",
    "handedBack": "handed back",
}
_STATES = {
    AttemptState.QUEUED: "waits",
    AttemptState.RUNNING: "runs",
    AttemptState.LOST: "worker lost",
    AttemptState.CANCELED: "cancelled",
}


def data(tries: Sequence[Any], files: RunFiles) -> list[dict[str, Any]]:
    """Return attempts as JSON, the first one first."""
    return [
        {
            "attempt": row.number,
            "state": row.state,
            "outcome": row.outcome,
            "queue": row.queue,
            "granted": row.granted,
            "host": row.host,
            "exit_code": row.exit_code,
            "peak_memory": row.peak_memory,
            "cpu_seconds": row.cpu_seconds,
            "queued": iso(row.created),
            "started": iso(row.started),
            "ended": iso(row.ended),
            "error": row.error,
            "logs": _logs(row, files),
            "because": _because(tries[number - 1], row) if number else None,
        }
        for number, row in enumerate(tries)
    ]


def _logs(row: Any, files: RunFiles) -> str | None:
    """Return the directory that has an attempt's logs; None before a worker has claimed it."""
    return str(files.of_attempt(row.path, row.id, row.directory).root) if row.started is not None else None


def how(row: Any) -> str:
    """Say in a word or two how an attempt ended, or what it does."""
    outcome = row["outcome"]
    return str(_OUTCOMES.get(outcome, outcome) if outcome else _STATES.get(row["state"], row["state"]))


def _because(before: Any, row: Any) -> str:
    """Say why there was an attempt after ``before``."""
    number = f"attempt {before.number}"
    if before.state == AttemptState.LOST:
        return f"the worker of {number}{_on(before)} was lost"
    if before.outcome == Outcome.OUT_OF_MEMORY:
        had = f" the {before.granted['ram']} MiB that it had" if before.granted else " memory"
        if row.queue == before.queue:
            return f"{number} ran out of{had}: the same queue, with all its memory"
        return f"{number} ran out of{had}: the next larger queue, with all its memory"
    if before.outcome == Outcome.TEMPORARY:
        return f"{number} ended with an exit code that the tool calls temporary"
    if before.outcome == "handedBack":
        return f"{number}{_on(before)} was handed back: its worker was told to end"
    if before.outcome == Outcome.CANCELED:
        return f"{number}{_on(before)} was interrupted: its worker ended"
    message = str((before.error or {}).get("message", "")).split("\n")[0]
    return f"{number} failed by its worker, engine or host{_on(before)}" + (f": {message}" if message else "")


def _on(row: Any) -> str:
    return f" on {row.host}" if row.host else ""


def no_more(row: Any, ask: Ask, queues: Sequence[QueueLimits]) -> str | None:
    """Say why nothing follows an attempt that ran out of memory and is the last; None for any other."""
    if row.outcome != Outcome.OUT_OF_MEMORY or not row.granted:
        return None
    had = Placement(row.queue, Resources(**row.granted))
    if climb(ask, had, queues) is None:
        return f"no attempt follows: no queue that holds the step has more than these {had.granted.ram} MiB"
    return "no attempt follows: the memory ladder was off, or nothing new was to start"
