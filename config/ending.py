"""How a worker ends: it takes no more, lets what runs end for a while, then stops it and hands it back.

Celery's own answers to SIGTERM, SIGINT and SIGQUIT either wait for as long as the longest step takes or
kill what runs and lose it. Here Celery's warm shutdown is what goes on underneath in every case: it waits
for the tasks, and these end soon since their tools are stopped. What each signal does is a table
(:func:`step`); the handlers only note it and write a byte to a pipe, since a handler may interrupt
anything; a thread reads the pipe, waits and speaks (docs/decisions/0008-ending-workers.md).
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Any

log = logging.getLogger(__name__)


class Stage(IntEnum):
    """How far a worker is on its way out."""

    RUNS = 0
    DRAINS = 1  # it takes no more; what runs may end
    HANDS_BACK = 2  # what runs is stopped, and goes to other workers
    COLD = 3  # Celery's cold shutdown: nothing is waited for


def step(stage: Stage, number: int) -> Stage:
    """Return the stage that a signal takes a worker to."""
    if number == signal.SIGTERM:
        return max(stage, Stage.DRAINS)
    least = Stage.DRAINS if number == signal.SIGINT else Stage.HANDS_BACK
    return max(least, Stage(min(stage + 1, Stage.COLD)))


class Ending:
    """The end of one worker.

    ``leases`` are told; ``running`` returns how many steps run here; ``seconds`` is how long they may go
    on; ``warm`` begins Celery's warm shutdown with an exit code, ``cold`` its cold one.
    """

    def __init__(
        self,
        leases: Any,
        running: Callable[[], int],
        seconds: float,
        *,
        warm: Callable[[int], None] = lambda code: None,
        cold: Callable[[], None] = lambda: None,
    ) -> None:
        self.stage = Stage.RUNS
        self._leases = leases
        self._running = running
        self._seconds = seconds
        self._warm = warm
        self._cold = cold
        self._read, self._write = os.pipe()
        threading.Thread(target=self._attend, name="celeriac-ending", daemon=True).start()

    def install(self) -> None:
        """Handle the signals; to be called in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda number, frame: self.on_signal(number))

    def on_signal(self, number: int) -> None:
        """Go on to where a signal leads."""
        before, after = self.stage, step(self.stage, number)
        self._go(after)
        if after is Stage.COLD:
            self._cold()
        elif before is Stage.RUNS:
            self._warm(os.EX_OK if number == signal.SIGTERM else 1)

    def begin(self) -> None:
        """Drain, if nobody has told this worker to end before: it was shut down in another way."""
        self._go(max(self.stage, Stage.DRAINS))

    def _go(self, stage: Stage) -> None:
        """Note it. No lock, no log and no thread here: a handler may interrupt anything."""
        if stage is self.stage:
            return
        self.stage = stage
        self._leases.take_no_more()
        if stage >= Stage.HANDS_BACK:
            self._leases.hand_back()
        os.write(self._write, b".")

    def _attend(self) -> None:
        os.read(self._read, 1)
        if self.stage is Stage.DRAINS:
            self._say(f"they have {self._seconds:g} s, then they are stopped and handed back")
            if not select.select([self._read], [], [], self._seconds)[0]:
                self.stage = max(self.stage, Stage.HANDS_BACK)
                self._leases.hand_back()
        if self.stage is Stage.COLD:
            return
        self._say("they are stopped now and handed back: other workers run them")

    def _say(self, what: str) -> None:
        number = self._running()
        if number:
            log.warning("this worker ends. %s: %s", "1 step runs" if number == 1 else f"{number} steps run", what)
        elif self.stage is Stage.DRAINS:
            log.info("this worker ends: no step runs here")
