"""Run the tool of one attempt that this worker has claimed."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from celeriac.container.base import CancelToken
from celeriac.container.disk import is_full, no_room
from celeriac.document.document import Document
from celeriac.engine import secret
from celeriac.engine.reuse import earlier
from celeriac.errors import NotFoundError, StepFailed
from celeriac.graph.translate import short
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.job.request import JobRequest
from celeriac.job.secret import Secrets
from celeriac.journal.tables import Record
from celeriac.resources import QueueLimits, Resources
from celeriac.slots import Slot
from celeriac.states import Outcome

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """An attempt that was claimed, and its node."""

    claimed: Record
    node: Record
    title: str  # for people


def run_tool(engine: Engine, run: Record, work: Work, place: Place, token: CancelToken, slot: Slot) -> JobReport:
    """Run the tool to its end; every failure is in the report, and no secret value."""
    try:
        secrets = secret.of(engine, run.id, engine.options(run.id, run.options))
    except NotFoundError as error:
        return JobReport(Outcome.PERMANENT, error=error)
    if secrets is None:
        return _run_tool(engine, run, work, place, token, slot)
    return secrets.report(_run_tool(engine, run, work, place, token, slot, secrets))


def _run_tool(
    engine: Engine,
    run: Record,
    work: Work,
    place: Place,
    token: CancelToken,
    slot: Slot,
    secrets: Secrets | None = None,
) -> JobReport:
    try:
        document = engine.document(run.document)
        request = _request(engine, run, work, document, place, slot)
        # a container that jobs share gets its commands as text
        report = engine.jobs.run(request if secrets is None else replace(request, secrets=secrets, group=""), token)
    except Exception as error:
        if is_full(error):
            return JobReport(Outcome.INFRASTRUCTURE, error=no_room(f"'{work.title}' could not be run", place.root))
        told = repr(error) if secrets is None else secrets.mask(repr(error))
        log.error("attempt %s of '%s' failed by a fault of Celeriac's own: %s", work.claimed.id, work.title, told)
        failure = StepFailed(
            f"'{work.title}' could not be run: {type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),  # for the journal: a bug to be found
        )
        return JobReport(Outcome.INFRASTRUCTURE, error=failure)
    return _complete(report, document, work.claimed.path, work.node.step)


def _request(engine: Engine, run: Record, work: Work, document: Document, place: Place, slot: Slot) -> JobRequest:
    claimed, node, options = work.claimed, work.node, engine.options(run.id, run.options)
    inputs = node.inputs or {}
    if node.idx is not None and claimed.path.endswith("]"):
        inputs = {**engine.inputs(run.id, run.opened, node.parent), **inputs}
    tool = document.tool(node.step)
    known = {short(port["id"]) for port in tool.tool["inputs"]}
    queue = _queue(engine, run, claimed.queue)
    process = document.graph.at(node.step)
    wanted = options.reuse_container if process.reuse_container is None else process.reuse_container
    shares = wanted and "[" in claimed.path
    return JobRequest(
        tool=tool,
        inputs={name: value for name, value in inputs.items() if name in known},
        place=place,
        options=options,
        name=claimed.id,
        title=work.title,
        granted=Resources(**claimed.granted) if claimed.granted else None,
        limited=engine.limited,
        max_runtime=queue.max_runtime if queue else None,
        temporary=process.retry.exit_codes if process.retry else frozenset(),
        queue=claimed.queue,
        gpus=slot.gpus,
        labels={
            "celeriac.run": run.id,
            "celeriac.step": claimed.path,
            "celeriac.attempt": claimed.id,
            "celeriac.host": engine.boot,
            "celeriac.owner": engine.owner,
        },
        group=f"{run.id}/{node.step}" if shares else "",
        own=str(engine.directory(run.id, options)),
        digests=engine.digests,
        earlier=earlier(engine, claimed),
    )


def _queue(engine: Engine, run: Record, name: str) -> QueueLimits | None:
    queues = engine.queue_table(run.id, run.opened, run.queues)
    return next((queue for queue in queues if queue.name == name), None)


def _complete(report: JobReport, document: Document, path: str, address: str) -> JobReport:
    """Fail a step whose process left out an output that the step names (CWL v1.2, WorkflowStepOutput)."""
    if not path or report.outcome is not Outcome.SUCCESS:
        return report
    scope, _, name = address.rpartition("/")
    steps = document.graph.at(scope).steps
    assert steps is not None
    missing = [port for port in steps[name].outputs if port not in (report.outputs or {})]
    if not missing:
        return report
    error = StepFailed(
        f"'{path}' gave no output '{missing[0]}', which its step names",
        hint="an output that may be missing has to be given as null",
    )
    return JobReport(Outcome.PERMANENT, error=error, exit_code=report.exit_code)
