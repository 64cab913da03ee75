"""Submit and cancel runs by name, for any program that shares the broker. Imports nothing of the application.

``run_workflow.delay("wf.cwl", {"message": "hello"}).get()`` returns the output object;
``run_workflow.s(document="wf.cwl")`` takes its inputs from the task before it in a chain.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, Self

from celeriac.names import CANCEL_RUN, CANCEL_STEP, CONTROL_QUEUE, RUN_WORKFLOW, is_rabbitmq


def request(document: str, inputs: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Return the keyword arguments of ``celeriac.run_workflow``, with paths that hold elsewhere too.

    A document that is a path here becomes absolute; relative paths among the inputs start here.
    """
    path, hash_, fragment = os.fspath(document).partition("#")
    if "://" not in path and os.path.exists(path):
        path = os.path.abspath(path)
    options.setdefault("basedir", os.getcwd())
    if options.get("outdir"):
        options["outdir"] = os.path.abspath(options["outdir"])
    given = {} if inputs is None else {"inputs": dict(inputs)}
    return {"document": path + hash_ + fragment, **given, **options}


def shown(arguments: Mapping[str, Any]) -> str:
    """Return the arguments of ``celeriac.run_workflow`` as Flower and logs show them: an input may be secret."""
    return repr({name: "..." if name == "inputs" else value for name, value in arguments.items()})


def run_of(task: str) -> str:
    """Return the id of the run that a ``run_workflow`` task makes: the same when its message comes twice."""
    return hashlib.sha256(task.encode()).hexdigest()[:12]


class ByName:
    """A task of Celeriac's by its name, on the caller's own Celery app."""

    name: str

    def __init__(self, app: Any = None) -> None:
        self._app = app

    def bind(self, app: Any) -> Self:
        """Return the same for one app; without it the current app is used."""
        return type(self)(app)

    def _signature(self, *args: Any, **kwargs: Any) -> Any:
        app = self._app or _current()
        return app.signature(self.name, args=args, kwargs=kwargs).set(**_destination(app))


class RunWorkflow(ByName):
    """The task ``celeriac.run_workflow``."""

    name = RUN_WORKFLOW

    def s(self, document: str, inputs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return a signature, for the caller's own chains, groups and chords; Flower and logs show no input."""
        arguments = request(document, inputs, **options)
        return self._signature(**arguments).set(kwargsrepr=shown(arguments))

    def si(self, document: str, inputs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return a signature that takes nothing from the task before it."""
        return self.s(document, inputs or {}, **options).set(immutable=True)

    def delay(self, document: str, inputs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Send it; returns Celery's ``AsyncResult`` of the run's output object."""
        return self.s(document, inputs, **options).apply_async()


class CancelRun(ByName):
    """The task ``celeriac.cancel_run``: its result is the run's state, None when there is no such run."""

    name = CANCEL_RUN

    def delay(self, run: Any) -> Any:
        """Cancel a run, given its id or the result of its ``run_workflow.delay``; twice is no error."""
        return self._signature(_id(run)).apply_async()


class CancelStep(ByName):
    """The task ``celeriac.cancel_step``: its result is the step's state, None when there is no such run or step."""

    name = CANCEL_STEP

    def delay(self, run: Any, step: str) -> Any:
        """Cancel one step of a run, such as ``align`` or ``align[3]``; the run's ``on_error`` decides the rest."""
        return self._signature(_id(run), step).apply_async()


def _id(run: Any) -> str:
    """Return a run's id, also from what ``run_workflow.delay`` returned."""
    return run if isinstance(run, str) else run_of(run.id)


def _current() -> Any:
    from celery import current_app

    return current_app


def _destination(app: Any) -> dict[str, str]:
    """Say where the workers listen, in words that a chain can send as JSON.

    On Redis a queue's name is enough, and the queue is there even before the first worker. RabbitMQ
    refuses a queue that is declared in two ways, so there the message goes to the workers' exchange.
    """
    broker = str(app.conf.broker_write_url or app.conf.broker_url or "amqp://")
    if is_rabbitmq(broker) or not app.conf.task_create_missing_queues:
        return {"exchange": CONTROL_QUEUE, "routing_key": CONTROL_QUEUE}
    return {"queue": CONTROL_QUEUE}


#: Bound to the current Celery app.
run_workflow = RunWorkflow()
cancel_run = CancelRun()
cancel_step = CancelStep()
