"""While a step waits for its host: is it wanted still, and does somebody know why nothing goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from celeriac.journal import queued
from celeriac.journal.tables import Record
from celeriac.resources import Resources

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine
    from celeriac.engine.room import Room

log = logging.getLogger(__name__)

#: Seconds after which a run that does nothing else says that it waits for others.
NOTICE = 5.0


def offer(engine: Engine, attempts: Sequence[str]) -> list[Record]:
    """Return what those attempts need that can be claimed (still)."""
    with engine.database.read() as connection:
        return queued.offer(connection, attempts)


class Waiting:
    """Called while attempts wait, tells whether any can be claimed still; it asks the journal seldom."""

    def __init__(self, engine: Engine, attempts: Sequence[str], title: str, granted: Resources, room: Room) -> None:
        self._engine = engine
        self._attempts = attempts
        self._title = title
        self._granted = granted
        self._room = room
        self._began = self._asked = time.monotonic()
        self._held: float | None = None

    def __call__(self) -> bool:
        """Whether any can be claimed still."""
        if self._engine.leases.ending:
            return False
        now = time.monotonic()
        if now - self._asked < self._engine.settings.cancel_poll:
            return True
        self._asked = now
        if now - self._began > NOTICE:
            self._explain()
        if self._held is None or now - self._held >= self._engine.settings.heartbeat:
            self._held = now
            self._hold()
        return bool(offer(self._engine, self._attempts))

    def _hold(self) -> None:
        """Tell that their message is not lost: it is here."""
        with self._engine.database.begin() as connection:
            queued.hold(connection, self._attempts, self._engine.owner, self._engine.settings.lease)

    def _explain(self) -> None:
        """Say once what a person in front of an embedded run can't see: nothing of it runs, others do."""
        if self._engine.fair or not self._engine.leases.idle or self._engine.told_of_waiting or self._room.lacks:
            return
        self._engine.told_of_waiting = True
        log.warning(
            "'%s' waits for %s: other runs on this host have taken them; `celery slots` shows which",
            self._title,
            self._granted,
        )
