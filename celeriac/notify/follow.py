"""Which notices follow from which changes, in the payloads of CWL-Airflow. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from celeriac.notify.changes import About, Change, Facts, Notice, RunChange, StepChange, Task, is_end, is_success
from celeriac.states import RunState

#: All there is of a run that has not failed.
NO_LOGS: dict[str, Any] = {"failed_steps": {}, "previous_steps": {}}


def follow(about: About, changes: Sequence[Change], facts: Facts) -> list[Notice]:
    """Return what the changes of one commit have a listener told.

    A status for each change of a step; then one progress for all steps that succeeded together, unless the run
    has ended: its end has a progress of its own, and its success the results after that.
    """
    return list(_follow(about, changes, facts))


def _follow(about: About, changes: Sequence[Change], facts: Facts) -> Iterator[Notice]:
    for change in changes:
        if isinstance(change, StepChange) and change.state is not Task.SUBMITTED:
            named = {**_names(about), "task_id": task_id(about, change.path)}
            yield Notice("status", {"state": str(change.state), **named})
    ends = [change for change in changes if isinstance(change, RunChange) and is_end(change)]
    if not ends and any(map(is_success, changes)):
        yield _progress(about, "running", min(99, facts.progress), facts)
    for end in ends:
        if end.state is RunState.SUCCESS:
            yield _progress(about, "success", 100, facts)
            yield Notice("results", {**_names(about), "results": facts.results or {}})
        else:
            yield _progress(about, "failed", min(99, facts.progress), facts)


def task_id(about: About, path: str) -> str:
    """Return a step's name for listeners; a run of one tool has its workflow's."""
    return path or about.dag_id


def _names(about: About) -> dict[str, str]:
    return {"dag_id": about.dag_id, "run_id": about.run_id}


def _progress(about: About, state: str, progress: int, facts: Facts) -> Notice:
    payload = {
        "state": state,
        **_names(about),
        "progress": progress,
        "error": facts.error if state == "failed" else "",
        "statistics": dict(facts.statistics),
        "logs": dict(facts.logs) or NO_LOGS,
    }
    return Notice("progress", payload)
