"""Runs and their tasks as WES 1.1 shows them (RunLog, Log, TaskLog, outputs). Pure.

A task is one try to run a tool: a step that is tried again has several.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celeriac.errors import from_dict
from celeriac.states import RUN_ENDED, RunState

#: The routes' common beginning.
ROOT = "/ga4gh/wes/v1"

#: What is shown of an error.
Words = Callable[[Mapping[str, Any]], str]


def moment(seconds: float | None) -> str | None:
    """Return a time of the journal as WES has it, in UTC."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def run_url(base: str, run: str) -> str:
    """Return the address of a run."""
    return f"{base}{ROOT}/runs/{urllib.parse.quote(run, safe='')}"


def summary(row: Any, state: str) -> dict[str, Any]:
    """Return a run in a list (RunSummary)."""
    return {
        "run_id": row.id,
        "state": state,
        "start_time": moment(row.started),
        "end_time": moment(row.ended),
        "tags": tags(row.request),
    }


def tags(request: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the tags that a run was given."""
    found = (request or {}).get("tags")
    return dict(found) if isinstance(found, dict) else {}


def request(row: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked for; of a run that did not come by WES, what it would have been."""
    if row.request and "workflow_url" in row.request:
        return dict(row.request)
    name = row.workflow or row.name
    known = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": name, "tags": tags(row.request)}
    return {"workflow_params": dict(inputs), **known}


def run_log(row: Any, base: str, words: Words) -> dict[str, Any]:
    """Return the log of a run as a whole; its outputs of text are those of all its tools, one after the other."""
    where = run_url(base, row.id)
    found = {
        "name": row.name,
        "start_time": moment(row.started),
        "end_time": moment(row.ended),
        "stdout": f"{where}/logs/stdout",
        "stderr": f"{where}/logs/stderr",
        "system_logs": [words(row.error)] if row.error else [],
    }
    if row.state in RUN_ENDED:
        error = from_dict(row.error) if row.error else None
        found["exit_code"] = 0 if row.state == RunState.SUCCESS else (error.exit_code if error else 1) or 1
    return found


def task_log(row: Any, run: str, name: str, base: str, words: Words) -> dict[str, Any]:
    """Return the log of one try to run a tool; ``name`` is the run's, which is its step's where it is a tool."""
    where = f"{run_url(base, run)}/tasks/{urllib.parse.quote(row.id, safe='')}"
    again = f" (attempt {row.number})" if row.number > 1 else ""
    found: dict[str, Any] = {
        "id": row.id,
        "name": (row.path or name) + again,
        "start_time": moment(row.started),
        "end_time": moment(row.ended),
        "exit_code": row.exit_code,
        "system_logs": _system_logs(row, words),
    }
    if command := row.command or ((row.error or {}).get("fields") or {}).get("command"):
        own = f"{row.directory}/"  # its paths are of the server's host, and told as they are seen from there
        found["cmd"] = [str(word).replace(own, "") for word in command]
    if row.started is not None and row.reused is None:
        found |= {"stdout": f"{where}/logs/stdout", "stderr": f"{where}/logs/stderr"}
    return found


def _system_logs(row: Any, words: Words) -> list[str]:
    said = [f"the state of this try is {row.state}" + (f", its outcome {row.outcome}" if row.outcome else "")]
    said += [f"it ran on {row.host}"] if row.host else []
    said += ["it took the outputs of an earlier run"] if row.reused else []
    return said + ([words(row.error)] if row.error else [])


def outputs(value: Any, root: str, where: str) -> Any:
    """Return outputs whose files are addresses below ``where``, for those that lie in the directory ``root``.

    Paths of the server's host are left out: they are of no use to the caller.
    """
    if isinstance(value, list):
        return [outputs(part, root, where) for part in value]
    if not isinstance(value, dict):
        return value
    made = {name: outputs(part, root, where) for name, part in value.items()}
    if value.get("class") in ("File", "Directory"):
        made.pop("path", None)
        location = value.get("location")
        if isinstance(location, str) and location.startswith("file://"):
            path = urllib.parse.unquote(location.removeprefix("file://"))
            inside = path.startswith(root.rstrip("/") + "/")
            made.pop("location")
            if inside:
                made["location"] = f"{where}/{urllib.parse.quote(path[len(root.rstrip('/')) + 1 :])}"
    return made


def page(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], tuple[float, str] | None]:
    """Return the rows of a page, of which one more was asked for, and the place to go on from; None: the end."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], (last.created, last.id)
