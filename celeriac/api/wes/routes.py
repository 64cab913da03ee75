"""The eight routes of WES 1.1, and those under which logs and outputs open with the same credentials."""

from __future__ import annotations

import re
import socket
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from celeriac.api import door, paging, service
from celeriac.api.auth import Caller
from celeriac.api.door import Canceler, Reader, Submitter
from celeriac.api.errors import HttpError, shown
from celeriac.api.wes import form, logs, submit
from celeriac.api.wes.files import run_log_text, run_output, task_log_file
from celeriac.api.wes.info import counts, info
from celeriac.api.wes.models import (
    RUN_FORM,
    ErrorResponse,
    RunId,
    RunListResponse,
    RunLog,
    RunStatus,
    ServiceInfo,
    TaskListResponse,
    TaskLog,
)
from celeriac.api.wes.states import state
from celeriac.container.process_name import is_abandoned
from celeriac.engine.cancel import cancel
from celeriac.errors import BrokerUnavailable, from_dict
from celeriac.journal import runs, views
from celeriac.journal.tables import Record
from celeriac.states import RUN_ENDED, RunState

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "The request is malformed."},
    401: {"model": ErrorResponse, "description": "The request is unauthorized."},
    403: {"model": ErrorResponse, "description": "The requester is not authorized to perform this action."},
    408: {"model": ErrorResponse, "description": "The request took too long."},
    500: {"model": ErrorResponse, "description": "An unexpected error occurred."},
    503: {"model": ErrorResponse, "description": "A service that is needed does not answer."},
}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": "It was not found."}}
_LARGE: dict[int | str, dict[str, Any]] = {413: {"model": ErrorResponse, "description": "The request is too large."}}
_FILE: dict[int | str, dict[str, Any]] = {
    **_MISSING,
    200: {"description": "The file.", "content": {"text/plain": {}, "application/octet-stream": {}}},
    206: {"description": "A part of it.", "content": {"text/plain": {}, "application/octet-stream": {}}},
    416: {"model": ErrorResponse, "description": "The range lies outside of it."},
}
#: What ids look like; nothing else is asked of the journal.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

_SHOWN: dict[str, Any] = {"response_model_exclude_none": True, "tags": ["WES"]}

router = APIRouter(prefix=logs.ROOT, responses=ERRORS)
PageSize = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Entries of a page; there are 1000 at most.")]
PageToken = Annotated[str | None, Query(description="Where to go on: next_page_token of the page before.")]


@router.get("/service-info", operation_id="GetServiceInfo", response_model=ServiceInfo, **_SHOWN)
async def service_info(request: Request) -> Any:
    """Tell what the service is. Needs no token, but tells how many runs there are only to callers."""
    caller = await door.of(request).caller(request)
    known = service.of(request)

    def count() -> dict[str, int]:
        if caller is None or not caller.may("read"):
            return {}
        with known.engine.database.read() as connection:
            return counts(runs.by_state(connection, caller.sees))

    base = known.base(request)
    auth_url = known.settings.api_auth_url or f"{base}/auth"
    remote = bool(known.access("").hosts)
    return info(base, auth_url, known.usual, await to_thread.run_sync(count), remote)


@router.get("/runs", operation_id="ListRuns", response_model=RunListResponse, **_SHOWN)
def list_runs(request: Request, caller: Reader, page_size: PageSize = None, page_token: PageToken = None) -> Any:
    """List the caller's runs, newest first; runs that come meanwhile move nothing."""
    limit, after = paging.size(page_size), paging.place(page_token)
    with service.of(request).engine.database.read() as connection:
        rows = runs.page(connection, limit + 1, caller=caller.sees, after=after)
        shown, then = logs.page(rows, limit)
        found = [logs.summary(row, _state(connection, row)) for row in shown]
    return {"runs": found, "next_page_token": paging.token(then) if then else ""}


@router.post(
    "/runs",
    operation_id="RunWorkflow",
    response_model=RunId,
    responses=_LARGE,
    openapi_extra=RUN_FORM,
    **_SHOWN,
)
async def run_workflow(request: Request, caller: Submitter) -> Any:
    """Run a workflow. Once it is answered, the run is in the journal: it will be run, whatever happens."""
    known = service.of(request)
    async with form.read(request, known.settings.api_max_attachments) as (wanted, attachments):
        run = await to_thread.run_sync(submit.run, known, caller, wanted, attachments, limiter=known.loads)
    return {"run_id": run}


@router.get("/runs/{run_id}", operation_id="GetRunLog", response_model=RunLog, responses=_MISSING, **_SHOWN)
def get_run(request: Request, caller: Reader, run_id: str) -> Any:
    """Tell all about a run. ``task_logs`` has the first 1000 tasks; ``task_logs_url`` has all."""
    known = service.of(request)
    base = known.base(request)
    with known.engine.database.read() as connection:
        row = _run(connection, run_id, caller)
        tasks = views.attempts_page(connection, row.id, paging.MOST)
        inputs = {} if row.request else runs.inputs(connection, row.id)
        outputs = runs.outputs(connection, row.id)
        now = _state(connection, row)
    words = _words(known)
    return {
        "run_id": row.id,
        "request": logs.request(row, inputs),
        "state": now,
        "run_log": logs.run_log(row, base, words),
        "task_logs_url": f"{logs.run_url(base, row.id)}/tasks",
        "task_logs": [logs.task_log(task, row.id, row.name, base, words) for task in tasks],
        "outputs": _outputs(known, row, outputs or {}, base),
    }


@router.get(
    "/runs/{run_id}/status", operation_id="GetRunStatus", response_model=RunStatus, responses=_MISSING, **_SHOWN
)
def get_status(request: Request, caller: Reader, run_id: str) -> Any:
    """Tell a run's state."""
    with service.of(request).engine.database.read() as connection:
        row = _run(connection, run_id, caller)
        return {"run_id": row.id, "state": _state(connection, row)}


@router.post("/runs/{run_id}/cancel", operation_id="CancelRun", response_model=RunId, responses=_MISSING, **_SHOWN)
def cancel_run(request: Request, caller: Canceler, run_id: str) -> Any:
    """Cancel a run: its tools are stopped within seconds. To cancel twice, or what has ended, changes nothing."""
    known = service.of(request)
    with known.engine.database.read() as connection:
        row = _run(connection, run_id, caller)
    try:
        cancel(known.engine, row.id, f"{caller.name or 'somebody'} asked for it over HTTP")
    except BrokerUnavailable:
        pass  # it is cancelled; who waits for it is told by the scan
    return {"run_id": row.id}


@router.get(
    "/runs/{run_id}/tasks", operation_id="ListTasks", response_model=TaskListResponse, responses=_MISSING, **_SHOWN
)
def list_tasks(
    request: Request, caller: Reader, run_id: str, page_size: PageSize = None, page_token: PageToken = None
) -> Any:
    """List the tasks of a run, oldest first: each is one try to run a tool."""
    known = service.of(request)
    base, words = known.base(request), _words(known)
    limit, after = paging.size(page_size), paging.place(page_token)
    with known.engine.database.read() as connection:
        row = _run(connection, run_id, caller)
        rows = views.attempts_page(connection, row.id, limit + 1, after)
    shown, then = logs.page(rows, limit)
    tasks = [logs.task_log(task, row.id, row.name, base, words) for task in shown]
    return {"task_logs": tasks, "next_page_token": paging.token(then) if then else ""}


@router.get(
    "/runs/{run_id}/tasks/{task_id}", operation_id="GetTask", response_model=TaskLog, responses=_MISSING, **_SHOWN
)
def get_task(request: Request, caller: Reader, run_id: str, task_id: str) -> Any:
    """Tell all about one task."""
    known = service.of(request)
    row, task = _task(known, run_id, task_id, caller)
    return logs.task_log(task, row.id, row.name, known.base(request), _words(known))


# --- files ----------------------------------------------------------------------------------------


@router.get("/runs/{run_id}/tasks/{task_id}/logs/{stream}", responses=_FILE, response_class=Response, tags=["files"])
def get_task_log(request: Request, caller: Reader, run_id: str, task_id: str, stream: str) -> Response:
    """Send what a tool printed (``stdout`` or ``stderr``), as far as it has; takes a ``Range``."""
    known = service.of(request)
    row, task = _task(known, run_id, task_id, caller)
    return task_log_file(known, row, task, _stream(stream), request.headers.get("range"))


@router.get("/runs/{run_id}/logs/{stream}", responses=_FILE, response_class=Response, tags=["files"])
def get_run_log(request: Request, caller: Reader, run_id: str, stream: str) -> Response:
    """Send what all tools of a run printed (``stdout`` or ``stderr``), one after the other, and why it failed."""
    known = service.of(request)
    with known.engine.database.read() as connection:
        row = _run(connection, run_id, caller)
    return run_log_text(known, row, _stream(stream), _words(known))


@router.get("/runs/{run_id}/outputs/{path:path}", responses=_FILE, response_class=Response, tags=["files"])
def get_output(request: Request, caller: Reader, run_id: str, path: str) -> Response:
    """Send a file of a run's outputs; takes a ``Range``."""
    known = service.of(request)
    with known.engine.database.read() as connection:
        row = _run(connection, run_id, caller)
    return run_output(known, row, path, request.headers.get("range"))


# --- what they share --------------------------------------------------------------------------------


def _run(connection: Any, run: str, caller: Caller) -> Record:
    """Return a run that the caller may see; others' are as unknown as those that never were."""
    row = runs.seen(connection, run, caller.sees) if _ID.fullmatch(run) else None
    if row is None:
        raise HttpError(404, "there is no such run")
    return row


def _task(known: service.Service, run: str, task: str, caller: Caller) -> tuple[Record, Record]:
    with known.engine.database.read() as connection:
        row = _run(connection, run, caller)
        found = views.attempt(connection, row.id, task) if _ID.fullmatch(task) else None
    if found is None:
        raise HttpError(404, "there is no such task")
    return row, found


def _stream(name: str) -> str:
    if name not in ("stdout", "stderr"):
        raise HttpError(404, "there are the logs stdout and stderr")
    return name


def _state(connection: Any, row: Record) -> str:
    begun = row.state != RunState.RUNNING or views.begun(connection, row.id)
    interrupted = row.state not in RUN_ENDED and is_abandoned(row.keeper, socket.gethostname())
    return state(row.state, row.error, begun=begun, interrupted=interrupted)


def _words(known: service.Service) -> logs.Words:
    return lambda error: shown(from_dict(dict(error)), known.places)


def _outputs(known: service.Service, row: Record, found: dict[str, Any], base: str) -> dict[str, Any]:
    if known.settings.api_outputs == "file":
        return found
    made = logs.outputs(found, str(known.outputs(row)), f"{logs.run_url(base, row.id)}/outputs")
    assert isinstance(made, dict)
    return made
