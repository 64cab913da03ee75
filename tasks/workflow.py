"""The task that a program calls to run a workflow."""

from __future__ import annotations

import os
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Ignore

from celeriac import client, names
from celeriac.engine.advance import advance
from celeriac.engine.submit import check, submit
from celeriac.errors import UsageError, UserError
from celeriac.job.options import RunOptions
from tasks.callers import send_home
from tasks.engine import engine_of


class RunWorkflow(Task):  # type: ignore[misc]
    """Makes paths absolute where they are known: in the caller's process."""

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Send it, as ``celeriac.run_workflow`` does."""
        arguments = dict(zip(("document", "inputs"), args or (), strict=False)) | dict(kwargs or {})
        if "document" in arguments and not (args and "document" in (kwargs or {})):
            args, kwargs = (), client.request(**arguments)
            options.setdefault("kwargsrepr", client.shown(kwargs))
        return super().apply_async(args, kwargs, **options)


@shared_task(name=names.RUN_WORKFLOW, bind=True, base=RunWorkflow, throws=(UserError,))
def run_workflow(self: Any, *given: Any, document: str | None = None, **options: Any) -> None:
    """Submit a run. Its result is the run's output object, stored under this task's id at its end.

    ``run_workflow(document, inputs, **options)``; as a member of a chain, the task before it gives the
    inputs. Options are those of :class:`~celeriac.job.options.RunOptions`.
    """
    send_home(self.app, self.request)
    values = list(given)
    if document is None and values:
        document = values.pop(0)
    inputs = values.pop(0) if values else options.pop("inputs", None)
    if not document or values or not isinstance(inputs or {}, dict):
        raise UsageError("run_workflow takes a document and a mapping of inputs")
    engine = engine_of(self.app)
    run_options = RunOptions.from_json({"eval_timeout": engine.settings.eval_timeout, **options})
    submission = check(engine, os.fspath(document), None, run_options, inputs or {})
    run, messages = submit(engine, submission, reply=_reply(self.request), run=client.run_of(self.request.id))
    if messages:
        self.update_state(state="STARTED", meta={"run": run})
    advance(engine, run)
    engine.drop(messages)
    raise Ignore  # the result comes from `celeriac.outputs`, under the same id, when the run has ended


def _reply(request: Any) -> dict[str, Any]:
    """Keep what makes up this task's place in its caller's canvas."""
    return {
        "task_id": request.id,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "group_id": request.group,
        "group_index": request.group_index,
        "chord": request.chord,
        "chain": request.chain,
        "link": request.callbacks,
        "link_error": request.errbacks,
        "reply_to": request.reply_to,
        "correlation_id": request.correlation_id,
    }
