"""What `celeriac status --json` prints. docs/command-line.md describes the keys: they only ever get more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import RunFiles, between, iso

if TYPE_CHECKING:
    from celeriac.cli.moment import Moment
    from celeriac.cli.steps import StepView


def data(seen: Moment, files: RunFiles, jobs: Sequence[Any] | None) -> dict[str, Any]:
    """Return a run as JSON, with each of its ``jobs`` if they are given."""
    found = {
        "id": seen.run,
        "name": seen.name,
        "state": str(seen.state),
        "created": iso(seen.created),
        "started": iso(seen.started),
        "ended": iso(seen.ended),
        "seconds": round(seen.seconds, 3),
        "directory": str(files.directory),
        "counts": seen.view.jobs(),
        "waiting": seen.waiting,
        "interrupted": seen.interrupted,
        "error": seen.error,
        "steps": [_step(step, seen.now) for step in seen.view.steps],
        "failures": [_item(row, files) for row in seen.failures],
    }
    if jobs is not None:
        found["items"] = [_item(row, files) for row in jobs]
    return found


def _step(step: StepView, now: float) -> dict[str, Any]:
    seconds = between(step.started, step.ended or now)
    return {
        "step": step.step,
        "kind": step.kind,
        "state": str(step.state),
        "total": step.total,
        "done": step.done,
        "counts": dict(step.states),
        "started": iso(step.started),
        "ended": iso(step.ended),
        "seconds": None if seconds is None else round(seconds, 3),
        "queue": step.queue,
        "host": step.host if step.hosts < 2 else None,
        "exit_code": step.exit_code,
        "reused": step.reused,
    }


def _item(row: Any, files: RunFiles) -> dict[str, Any]:
    place = files.place(row)
    return {
        "path": row.path,
        "step": row.step,
        "kind": row.kind,
        "state": row.state,
        "attempt": row.number,
        "queue": row.queue,
        "host": row.host,
        "exit_code": row.exit_code,
        "started": iso(row.started),
        "ended": iso(row.ended),
        "peak_memory": row.peak_memory,
        "cpu_seconds": row.cpu_seconds,
        "reused": row.reused,
        "error": row.error,
        "logs": str(place.root) if place else None,
    }
