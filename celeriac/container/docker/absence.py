"""An engine that is away for a while: what is to be done then waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from docker.errors import APIError

from celeriac.container.base import CancelToken
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.outage import Outage

log = logging.getLogger(__name__)


def await_engine(connection: Connection, name: str, cancel: CancelToken) -> None:
    """Wait for an engine that this process has heard of before, until it answers or the patience is over.

    One that was never heard of is not waited for: most likely there is none. Raises
    :class:`~celeriac.errors.EngineUnreachable`, or ``cancel.error(name)`` when cancelled.
    """
    if not connection.has_answered or connection.has_just_answered:
        return
    outage = Outage()
    while True:
        try:
            connection.brisk.ping()
            return
        except APIError:
            return
        except NO_ANSWER as error:
            now = time.monotonic()
            if not outage.lasts:
                log.warning("'%s' waits for the container engine: %s", name, error)
            pause = outage.pause(now)
            if outage.seconds(now) > connection.options.patience:
                raise connection.unavailable(error) from error
        if cancel.wait(pause):
            raise cancel.error(name)


def later(connection: Connection, work: Callable[[], Exception | None], what: str) -> None:
    """Do something in a thread of its own, again and again until it returns None or the patience is over."""

    def loop() -> None:
        outage = Outage()
        while True:
            time.sleep(outage.pause(time.monotonic()))
            problem = work()
            if problem is None:
                return
            if outage.seconds(time.monotonic()) > connection.options.patience:
                log.warning("%s: %s", what, problem)
                return

    threading.Thread(target=loop, name="celeriac-engine-away", daemon=True).start()
