"""The answers of WES 1.1, for OpenAPI: names and meanings are the specification's."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

State = Literal[
    "UNKNOWN", "QUEUED", "INITIALIZING", "RUNNING", "PAUSED", "COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED",
    "CANCELING", "PREEMPTED",
]  # fmt: skip


class ErrorResponse(BaseModel):
    """Why a request was not answered."""

    msg: str
    status_code: int


class RunId(BaseModel):
    """The id of a run."""

    run_id: str


class RunStatus(BaseModel):
    """The state of a run."""

    run_id: str
    state: State


class RunSummary(RunStatus):
    """A run in a list."""

    start_time: str | None = None
    end_time: str | None = None
    tags: dict[str, str]


class RunListResponse(BaseModel):
    """A page of runs, newest first."""

    runs: list[RunSummary]
    next_page_token: str


class Log(BaseModel):
    """What is known of a run, or of one try to run a tool."""

    name: str
    cmd: list[str] | None = None
    start_time: str | None = None
    end_time: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None
    system_logs: list[str] | None = None


class TaskLog(Log):
    """One try to run a tool."""

    id: str


class TaskListResponse(BaseModel):
    """A page of tasks, oldest first."""

    task_logs: list[TaskLog]
    next_page_token: str


class RunLog(BaseModel):
    """All that is known of a run."""

    run_id: str
    request: dict[str, Any]
    state: State
    run_log: Log
    task_logs_url: str
    task_logs: list[TaskLog] | None = None
    outputs: dict[str, Any]


class ServiceInfo(BaseModel):
    """The service (GA4GH service-info 1.0, and what WES adds)."""

    id: str
    name: str
    type: dict[str, str]
    description: str
    organization: dict[str, str]
    documentationUrl: str
    version: str
    workflow_type_versions: dict[str, dict[str, list[str]]]
    supported_wes_versions: list[str]
    supported_filesystem_protocols: list[str]
    workflow_engine_versions: dict[str, dict[str, list[str]]]
    default_workflow_engine_parameters: list[dict[str, str]]
    system_state_counts: dict[str, int]
    auth_instructions_url: str
    tags: dict[str, str]


#: The form of a request for a run, which FastAPI can't tell from the code: its parts are read one by one.
RUN_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["workflow_type", "workflow_type_version", "workflow_url"],
                    "properties": {
                        "workflow_params": {"type": "string", "description": "the CWL job, as JSON"},
                        "workflow_type": {"type": "string", "enum": ["CWL"]},
                        "workflow_type_version": {"type": "string", "enum": ["v1.0", "v1.1", "v1.2"]},
                        "tags": {"type": "string", "description": "an object of texts, as JSON"},
                        "workflow_engine": {"type": "string", "enum": ["celeriac"]},
                        "workflow_engine_version": {"type": "string"},
                        "workflow_engine_parameters": {
                            "type": "string",
                            "description": "an object of texts, as JSON; service-info names the parameters",
                        },
                        "workflow_url": {
                            "type": "string",
                            "description": "an attachment's name, the name of a workflow of the service, or a URL",
                        },
                        "workflow_attachment": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["workflow_type", "workflow_type_version", "workflow_url"],
                    "properties": {
                        "workflow_params": {"type": "object"},
                        "workflow_type": {"type": "string", "enum": ["CWL"]},
                        "workflow_type_version": {"type": "string", "enum": ["v1.0", "v1.1", "v1.2"]},
                        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                        "workflow_engine": {"type": "string", "enum": ["celeriac"]},
                        "workflow_engine_version": {"type": "string"},
                        "workflow_engine_parameters": {"type": "object", "additionalProperties": {"type": "string"}},
                        "workflow_url": {"type": "string"},
                    },
                }
            },
        },
    }
}
