"""Threads of this process that deliver notices, so that nobody who has something else to do waits for a listener."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: Threads at most: so many listeners may hang before others wait for them.
MOST = 4


class Courier:
    """Delivers the notices of runs one after another. Has a thread only while it has something to do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._be()

    def _be(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, None] = OrderedDict()
        self._threads = 0

    def take(self, run: str) -> None:
        """See to the notices of a run, soon; returns at once."""
        if self._pid != os.getpid():  # forked since: its threads are the parent's
            self._be()
        with self._lock:
            self._runs[run] = None
            if self._threads >= MOST:
                return
            self._threads += 1
        threading.Thread(target=self._work, name="celeriac-notify", daemon=True).start()

    def _work(self) -> None:
        from celeriac.engine.notify import deliver  # with an HTTP client, which most runs don't need

        while (run := self._next()) is not None:
            try:
                deliver(self._engine.database, self._engine.settings, run)
            except Exception as error:  # the journal is away: whoever looks for what is due sends it
                log.warning("notices of run %s are delivered later: %s", run, error)

    def _next(self) -> str | None:
        with self._lock:
            if self._runs:
                return self._runs.popitem(last=False)[0]
            self._threads -= 1
            return None
