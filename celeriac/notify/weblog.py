"""Which events follow from which changes, as Nextflow's ``-with-weblog`` posts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from celeriac.notify.changes import About, Change, Facts, Notice, RunChange, StepChange, Task
from celeriac.notify.follow import task_id
from celeriac.states import RunState

#: A step's states, with the event that tells of each and Nextflow's word for it.
_STEPS = {
    Task.SUBMITTED: ("process_submitted", "SUBMITTED"),
    Task.RUNNING: ("process_started", "RUNNING"),
    Task.SUCCESS: ("process_completed", "COMPLETED"),
    Task.FAILED: ("process_completed", "FAILED"),
    Task.UP_FOR_RETRY: ("process_completed", "FAILED"),
    Task.UPSTREAM_FAILED: ("process_completed", "ABORTED"),
}


def events(about: About, changes: Sequence[Change], facts: Facts) -> list[Notice]:
    """Return the events of one commit: ``started``, ``process_*``, and at the end (``error`` and) ``completed``."""
    return list(_events(about, changes, facts))


def _events(about: About, changes: Sequence[Change], facts: Facts) -> Iterator[Notice]:
    for change in changes:
        if isinstance(change, StepChange):
            event, word = _STEPS[change.state]
            name = task_id(about, change.path)
            known = facts.traces.get(change.path, {})
            trace = {"task_id": name, "name": name, "process": name, "status": word, **known}
            yield _event(about, facts, event, trace=trace)
        elif isinstance(change, RunChange) and change.state is RunState.RUNNING:
            yield _event(about, facts, "started", metadata=_metadata(about))
        else:
            success = change.state is RunState.SUCCESS
            if not success:
                yield _event(about, facts, "error", metadata=_metadata(about, success=False, error=facts.error))
            yield _event(about, facts, "completed", metadata=_metadata(about, success=success, error=facts.error))


def _metadata(about: About, **more: Any) -> dict[str, Any]:
    return {"workflow": {"runName": about.run_id, "scriptName": about.name, "projectName": about.dag_id, **more}}


def _event(about: About, facts: Facts, event: str, **more: Any) -> Notice:
    time = datetime.fromtimestamp(facts.time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    payload = {"runName": about.run_id, "runId": about.run, "event": event, "utcTime": time, **more}
    return Notice("weblog", payload)
