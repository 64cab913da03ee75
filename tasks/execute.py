"""The task that runs steps. Its id is the first attempt's, its result the output object of a step that is alone."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import Ignore

from celeriac import names
from celeriac.engine.execute import reported
from tasks.engine import engine_of, execute_with


@shared_task(name=names.EXECUTE, bind=True)
def execute(self: Any, attempts: list[str]) -> dict[str, Any] | None:
    """Run attempts on this worker, one after another.

    Returns the outputs of one that is alone (None when it did not succeed), else how many succeeded: the
    outputs of a large scatter are in the journal, not in messages. A message that came once more gives what
    the attempts gave; while one runs elsewhere it gives nothing: a result, once stored, is kept by Celery
    for good.
    """
    engine = engine_of(self.app)
    done = execute_with(self.app)(attempts)
    outputs = done.outputs
    if done.settled:  # the chain's second half would find nothing to do
        self.request.chain = None
    for attempt in attempts:
        if attempt in outputs:
            continue
        ended, found = reported(engine, attempt)
        if not ended:
            raise Ignore
        if found is not None:
            outputs[attempt] = found
    if len(attempts) == 1:
        return outputs.get(attempts[0])
    return {"succeeded": len(outputs), "of": len(attempts)}
