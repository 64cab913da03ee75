"""The timer behind the scan: every worker has one, and so has an embedded run.

It also tells the journal that the worker is there, removes containers that nobody runs any more, and sees
to it that the host has its reaper.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from celeriac.engine.due import remind, wake
from celeriac.engine.scan import scan
from celeriac.engine.sweep import sweep
from config import reaper
from config.forks import Forks

log = logging.getLogger(__name__)

#: Seconds between two looks for steps whose pause after a failure is over.
TICK = 1.0
#: Seconds between two looks for containers that were left over, at least.
SWEEP = 15.0


class Scanner:
    """Runs the scan from time to time, in a thread. With ``at_once`` it looks for leftovers at its start, too."""

    def __init__(self, engine: Any, *, at_once: bool = False) -> None:
        self._engine = engine
        self.forks = Forks()
        self._swept = -math.inf if at_once else time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="celeriac-scan", daemon=True)

    def start(self) -> None:
        """Start the thread; no process is forked while it is at work."""
        self.forks.follow()
        self._thread.start()

    def stop(self) -> None:
        """End it; does not wait."""
        self._stop.set()

    def _loop(self) -> None:
        self._try(self._engine.presence.tell, "other workers are not told of this one")
        self._see_to_host()
        scanned, reminded = time.monotonic(), dict[str, float]()
        interval = self._engine.settings.scan_interval
        while not self._stop.wait(min(interval, TICK)):
            self._try(lambda: wake(self._engine), "steps whose pause is over are not sent")
            self._try(lambda: remind(self._engine, reminded), "notices that are due are not sent")
            if time.monotonic() - scanned < interval:
                continue
            scanned = time.monotonic()
            self._try(self._engine.presence.tell, "other workers are not told of this one")
            self._try(lambda: scan(self._engine), "the scan failed and is tried again")
            self._see_to_host()
        self._try(self._engine.presence.leave, "other workers are not told that this one ended")

    def _see_to_host(self) -> None:
        """End what is left on this host of workers that died."""
        reaper.ensure(self._engine.settings)
        if time.monotonic() - self._swept >= SWEEP:
            self._swept = time.monotonic()
            self._try(lambda: sweep(self._engine), "containers that were left over are not removed")

    def _try(self, action: Callable[[], Any], trouble: str) -> None:
        try:
            with self.forks.none():
                action()
        except Exception as error:
            log.warning("%s: %s", trouble, error)
