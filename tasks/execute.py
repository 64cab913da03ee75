"""The task that runs one step. Its id is the attempt's id, its result the step's output object."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import Ignore

from celeriac import names
from celeriac.engine.execute import execute as run
from celeriac.engine.execute import reported
from tasks.engine import engine_of


@shared_task(name=names.EXECUTE, bind=True)
def execute(self: Any, attempt: str) -> dict[str, Any] | None:
    """Run an attempt on this worker; returns the step's outputs, None when it did not succeed.

    A message that came once more gives what the attempt gave; while the attempt runs elsewhere it gives
    nothing: a result, once stored, is kept by Celery for good.
    """
    engine = engine_of(self.app)
    outputs = run(engine, attempt)
    if outputs is None:
        ended, outputs = reported(engine, attempt)
        if not ended:
            raise Ignore
    return outputs
