"""The routes of CWL-Airflow's REST interface, with the bodies and answers that its clients know."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from celeriac.api import door, service
from celeriac.api.dags import job, names, states, trigger, views
from celeriac.api.dags.door import Reader, signer
from celeriac.api.errors import HttpError
from celeriac.api.wes.form import LONGEST, Parser, text_of
from celeriac.api.wes.models import ErrorResponse
from celeriac.api.wes.request import parse
from celeriac.api.wes.routes import ERRORS
from celeriac.errors import InputError

_MORE: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorResponse, "description": "There is no such workflow."},
    409: {"model": ErrorResponse, "description": "There is one of that name already."},
    413: {"model": ErrorResponse, "description": "The request is too large."},
}
router = APIRouter(prefix="/api/experimental", responses=ERRORS, tags=["CWL-Airflow"])


class Trigger(BaseModel):
    """A run that is asked for; ``token`` is a JWT whose claims are the rest of the body, all of it."""

    run_id: str
    conf: str | dict[str, Any] | None = Field(None, description='JSON: {"job": {...}}')
    token: str | None = None


class WorkflowData(BaseModel):
    """The run of a workflow that comes with it."""

    dag_id: str
    run_id: str
    proj_id: str | None = None
    conf: str | dict[str, Any] | None = None


class Whole(BaseModel):
    """A workflow and its run."""

    workflow_content: str = Field(description="base64 of a document compressed by zlib")
    workflow_data: WorkflowData
    token: str | None = None


class Dag(BaseModel):
    """A workflow."""

    dag_id: str
    tasks: list[str]


class Dags(BaseModel):
    """The workflows."""

    dags: list[Dag]


class NewDag(BaseModel):
    """A workflow that was taken in; its paths are within the folder of workflows."""

    dag_id: str
    dag_path: str
    cwl_path: str


class Task(BaseModel):
    """A step of a run."""

    id: str
    state: str


class NewRun(BaseModel):
    """A run that was started."""

    dag_id: str
    run_id: str
    execution_date: str
    start_date: str
    state: str
    message: str | None = None


class Run(BaseModel):
    """A run."""

    dag_id: str
    run_id: str
    execution_date: str
    start_date: str
    state: str
    tasks: list[Task]
    progress: int


class Runs(BaseModel):
    """Runs, newest first."""

    dag_runs: list[Run]


@router.get("/dags", response_model=Dags)
async def list_dags(request: Request, caller: Reader, dag_ids: str | None = None) -> Any:
    """List the workflows and their steps."""
    known = service.of(request)

    def found() -> list[dict[str, Any]]:
        return [{"dag_id": name, "tasks": views.steps(known, name)} for name in trigger.listed(known, dag_ids)]

    return {"dags": await to_thread.run_sync(found, limiter=known.loads)}


@router.post(
    "/dags",
    response_model=NewDag,
    responses=_MORE,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "workflow": {"type": "string", "format": "binary", "description": "a CWL document"},
                            "workflow_content": {"type": "string", "description": "base64 of one compressed by zlib"},
                        },
                    }
                },
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"workflow_content": {"type": "string"}},
                        "required": ["workflow_content"],
                    }
                },
            },
        }
    },
)
async def add_dag(request: Request, caller: door.Submitter, dag_id: str | None = None) -> Any:
    """Take a workflow in: from then on it is run by its name; without one it is given one."""
    known = service.of(request)
    name = trigger.new_workflow() if dag_id is None else names.workflow(dag_id)
    text = await _document(request)
    place = await to_thread.run_sync(trigger.add, known, caller, name, text, limiter=known.loads)
    return {"dag_id": name, "dag_path": place.name, "cwl_path": place.name}


@router.post("/dags/dag_runs", response_model=NewRun, response_model_exclude_none=True, responses=_MORE)
async def add_and_trigger(request: Request, body: Whole) -> Any:
    """Take a workflow in and run it; a run of that name which is open is stopped first."""
    known = service.of(request)
    data = body.workflow_data
    caller, use = await signer(request, "submit", body.token, await _said(request), data.dag_id)
    name, text = names.workflow(data.dag_id), names.content(body.workflow_content)
    wanted = trigger.Wanted(name, names.run(data.run_id), job.read(data.conf))

    run = await to_thread.run_sync(trigger.trigger_again, known, caller, wanted, text, use, limiter=known.loads)
    return views.new(known, run)


@router.post("/dags/{dag_id}/dag_runs", response_model=NewRun, response_model_exclude_none=True, responses=_MORE)
async def trigger_dag(request: Request, dag_id: str, body: Trigger) -> Any:
    """Run a workflow, or stop a run (``clean_dag_run``)."""
    return await _start(request, dag_id, body.run_id, body.conf, body.token, await _said(request))


@router.post("/dag_runs", response_model=NewRun, response_model_exclude_none=True, responses=_MORE)
async def trigger_by_query(
    request: Request, dag_id: str, run_id: str | None = None, conf: str | None = None, token: str | None = None
) -> Any:
    """Run a workflow; all that is asked for is in the query. A run without a name is given one."""
    said = {name: value for name, value in request.query_params.items() if name not in ("dag_id", "token")}
    return await _start(request, dag_id, trigger.new_run() if run_id is None else run_id, conf, token, said)


@router.get("/dag_runs", response_model=Runs)
def list_runs(
    request: Request,
    caller: Reader,
    dag_id: str | None = None,
    run_id: str | None = None,
    execution_date: str | None = None,
    state: Annotated[str | None, Query(description=", ".join(states.STATES))] = None,
) -> Any:
    """List the caller's runs, newest first, 1000 at most."""
    known = service.of(request)
    if state is not None and state not in states.STATES:
        raise InputError(f"state is {state!r:.100}, but one of {', '.join(states.STATES)} was expected")
    for value in (dag_id, run_id, execution_date):
        if value is not None and "\0" in value:
            raise InputError("a name with the character NUL names nothing")
    if dag_id == names.STOP:
        found = views.stops_of(known, caller, run_id)
    else:
        found = views.runs_of(known, caller, views.Asked(dag_id, run_id, execution_date, state))
    wanted = [row for row in found if execution_date in (None, row["execution_date"]) and state in (None, row["state"])]
    return {"dag_runs": wanted}


async def _said(request: Request) -> dict[str, Any]:
    """Return the body as it came, less its token: the old clients sign what we don't know of, too."""
    return {name: value for name, value in (await request.json()).items() if name != "token"}


async def _start(request: Request, workflow: str, run: str, conf: Any, token: Any, said: dict[str, Any]) -> Any:
    known = service.of(request)
    stops = workflow == names.STOP
    caller, use = await signer(request, "cancel" if stops else "submit", token, said, workflow)
    name, values = names.run(run), job.read(conf)

    def start() -> dict[str, Any]:
        if stops:
            trigger.stop(known, caller, name, values, use)
            return views.stops_of(known, caller, name)[0] | {"message": f"Created {names.STOP} {name}"}
        wanted = trigger.Wanted(names.workflow(workflow), name, values)
        return views.new(known, trigger.trigger(known, caller, wanted, use))

    return await to_thread.run_sync(start, limiter=None if stops else known.loads)


async def _document(request: Request) -> str:
    """Return the document in a form, a file or a text as :func:`.names.content` reads it; or in JSON, such a text."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await _document_in_json(request)
    if kind != "multipart/form-data":
        raise HttpError(400, "the body is no form: multipart/form-data was expected, or application/json")
    try:
        form = await Parser(request.headers, request.stream(), max_files=2, max_fields=4, max_part_size=LONGEST).parse()
    except MultiPartException as error:
        raise HttpError(400, f"the form can't be read: {error.message}") from error
    try:
        given = form.get("workflow")
        if given is None:
            return names.content(form.get("workflow_content"))
        body = await given.read(LONGEST + 1) if isinstance(given, UploadFile) else given.encode()
        if len(body) > LONGEST:
            raise HttpError(413, f"the workflow has more than {LONGEST} bytes")
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("the workflow is no text in UTF-8") from error
    finally:
        await form.close()


async def _document_in_json(request: Request) -> str:
    found = parse("the body", await text_of(request))
    if not isinstance(found, dict):
        raise InputError("the body is no JSON object")
    return names.content(found.get("workflow_content"))
