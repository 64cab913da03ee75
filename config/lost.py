"""A prefork child that died is told of at once: its step needs not wait until a lease has run out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
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


def tell(sender: Any, exception: BaseException, args: Sequence[Any], **rest: Any) -> None:
    """Tell the journal of steps whose process is gone; the main process has nothing to wait for."""
    if sender.name == EXECUTE and isinstance(exception, WorkerLostError):
        arguments = (current_app.celeriac, args[0], current_app.celeriac_scanner.forks)
        threading.Thread(target=_lose, args=arguments, name="celeriac-lost", daemon=True).start()


def _lose(engine: Engine, attempts: Sequence[str], forks: Forks) -> None:
    try:
        with forks.none():  # the one in the dead child's place is forked just now
            from celeriac.engine.lost import lose

            for attempt in attempts:
                lose(engine, attempt)
    except Exception as error:  # the scan finds them when their lease has run out
        log.warning("attempts %s are given up later: %s", ", ".join(attempts), error)
