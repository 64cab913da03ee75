"""Which workers are there, and how many steps they run at once: they tell the journal from time to time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celeriac.journal import workers
from celeriac.resources import Budget

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

#: Seconds for which an answer of the journal is good enough.
KEPT = 5.0
#: Seconds after which nothing is remembered of a worker.
FORGOTTEN = 24 * 3600.0


class Presence:
    """The workers of this journal."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = ""  # of the worker that this process is, or is a child of
        self._self: dict[str, Any] = {}
        self._slots = 0
        self._asked: float | None = None

    def describe(self, name: str, budget: Budget, slots: int, queues: Mapping[str, int]) -> None:
        """Say what this process is: the worker ``name``; ``queues``: how many of its steps the host holds."""
        self.name = name
        self._self = {"budget": budget.to_json(), "slots": slots, "queues": dict(queues)}

    def tell(self) -> None:
        """Note that this worker is there, if this process is one."""
        if self.name:
            with self._engine.database.begin() as connection:
                workers.seen(connection, self.name, host=self._engine.host, **self._self)
                workers.forget(connection, FORGOTTEN)

    def leave(self) -> None:
        """Note that it has ended."""
        if self.name:
            with self._engine.database.begin() as connection:
                workers.gone(connection, self.name)

    @property
    def within(self) -> float:
        """Seconds since which a worker that is there has been seen."""
        return workers.within(self._engine.settings.scan_interval)

    def slots(self) -> int:
        """Return how many steps all workers run at once; 0 when none has told."""
        now = time.monotonic()
        if self._asked is None or now - self._asked > KEPT:
            self._asked = now
            with self._engine.database.read() as connection:
                self._slots = sum(worker.slots for worker in workers.alive(connection, self.within))
        return self._slots
