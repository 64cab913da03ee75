"""The tasks that schedule: short, and they never wait for another task."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from celeriac import names
from celeriac.engine.advance import advance as go_on
from celeriac.engine.cancel import cancel
from celeriac.engine.outcome import outcome
from celeriac.engine.scan import scan
from celeriac.engine.stop import cancel_step as stop
from celeriac.errors import CeleriacError
from tasks.callers import send_home
from tasks.engine import engine_of


@shared_task(name=names.ADVANCE, bind=True, ignore_result=True)
def advance(self: Any, run: str) -> None:
    """Do all that can be done for a run now."""
    go_on(engine_of(self.app), run)


@shared_task(name=names.SETTLE, bind=True, ignore_result=True)
def settle(self: Any, run: str, attempt: str) -> None:
    """Draw the conclusions from an attempt's report, and all others that are there."""
    go_on(engine_of(self.app), run)


@shared_task(name=names.GATHER, bind=True, ignore_result=True)
def gather(self: Any, run: str, batch: str) -> None:
    """Draw the conclusions from the reports of a chord of a scatter, and all others that are there."""
    go_on(engine_of(self.app), run)


@shared_task(name=names.CANCEL_RUN, bind=True)
def cancel_run(self: Any, run: str) -> str | None:
    """Cancel a run; its state, or None when there is none of that id."""
    return cancel(engine_of(self.app), run)


@shared_task(name=names.CANCEL_STEP, bind=True)
def cancel_step(self: Any, run: str, step: str) -> str | None:
    """Cancel a step of a run; its state, or None when there is no such run or step."""
    return stop(engine_of(self.app), run, step)


@shared_task(name=names.OUTPUTS, bind=True, throws=(CeleriacError,))
def outputs(self: Any, run: str) -> dict[str, Any]:
    """Return an ended run's output object to whoever waits for ``run_workflow``; raises RunFailed."""
    send_home(self.app, self.request)
    return outcome(engine_of(self.app), run)


@shared_task(name=names.NOTIFY, bind=True, ignore_result=True)
def notify(self: Any, run: str) -> None:
    """Deliver a run's notices, in a thread: a listener that hangs keeps nobody from scheduling."""
    engine_of(self.app).courier.take(run)


@shared_task(name=names.SWEEP, bind=True, ignore_result=True)
def sweep(self: Any) -> None:
    """Repair what a lost message or a dead worker left behind."""
    scan(engine_of(self.app))
