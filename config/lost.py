"""A prefork child that died is told of at once: its step needs not wait until a lease has run out."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from billiard.exceptions import WorkerLostError
from celery import current_app, signals

from celeriac.names import EXECUTE
from config.forks import Forks

if TYPE_CHECKING:
    from celeriac.engine import Engine

log = logging.getLogger(__name__)


def connect() -> None:
    """Connect to Celery's signal; to do it twice is the same as once."""
    signals.task_failure.connect(tell, weak=False, dispatch_uid="celeriac-lost")


def tell(sender: Any, task_id: str, exception: BaseException, **rest: Any) -> None:
    """Tell the journal of a step whose process is gone; the main process has nothing to wait for."""
    if sender.name == EXECUTE and isinstance(exception, WorkerLostError):
        arguments = (current_app.celeriac, task_id, current_app.celeriac_scanner.forks)
        threading.Thread(target=_lose, args=arguments, name="celeriac-lost", daemon=True).start()


def _lose(engine: Engine, attempt: str, forks: Forks) -> None:
    try:
        with forks.none():  # the one in the dead child's place is forked just now
            from celeriac.engine.lost import lose

            lose(engine, attempt)
    except Exception as error:  # the scan finds it when its lease has run out
        log.warning("attempt %s is given up later: %s", attempt, error)
