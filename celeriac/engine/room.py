"""Before a step is claimed: has the file system of its run room for what the step will write?"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.container import disk
from celeriac.resources import Resources
from celeriac.slots import Slot

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: Seconds between two looks.
PAUSE = 0.5


class Look(StrEnum):
    """What follows from a look at a file system."""

    GO = "go"
    WAIT = "wait"
    GIVE_UP = "give up"


def decide(free: int | None, wanted: int, waited: float, patience: float) -> Look:
    """Say what follows when ``wanted`` bytes are to be free (0: none) and ``free`` are (None: nobody knows)."""
    if not wanted or free is None or free >= wanted:
        return Look.GO
    return Look.WAIT if waited < patience else Look.GIVE_UP


class Room:
    """The room that one attempt needs in its run's directory."""

    def __init__(self, engine: Engine, title: str, directory: Path) -> None:
        self._engine = engine
        self._title = title
        self._directory = directory
        self._wanted = engine.settings.disk_reserve * 2**20
        self._began: float | None = None  # since when it waits
        self._told = False
        self.lacks = False  # there was no room at the last look

    def is_there(self) -> bool:
        """Whether there is room just now. Raises :class:`~celeriac.errors.DiskFull` when it waits for too long."""
        now, free = time.monotonic(), disk.free(self._directory) if self._wanted else None
        waited = 0.0 if self._began is None else now - self._began
        look = decide(free, self._wanted, waited, self._engine.settings.disk_patience)
        self.lacks = look is not Look.GO
        if not self.lacks or free is None:
            self._began = None
            return True
        if look is Look.GIVE_UP:
            raise disk.too_little(self._title, self._directory, free, self._wanted, waited)
        if self._began is None:
            self._began = now
        if not self._told:
            self._told = True
            log.warning(
                "'%s' waits for room: the file system %s of %s has %d MiB free, and %d MiB are wanted",
                self._title, disk.file_system(self._directory), self._directory, free // 2**20, self._wanted // 2**20,
            )  # fmt: skip
        return False


def slot_with_room(
    engine: Engine, attempt: str, granted: Resources, room: Room, still: Callable[[], bool]
) -> Slot | None:
    """Return a slot, taken when there is room as well; what waits for room holds no slot meanwhile.

    None once ``still`` says that it is not wanted any more. Raises as :meth:`Slots.take` and :meth:`Room.is_there`.
    """
    while True:
        while not room.is_there():
            if not still():
                return None
            time.sleep(PAUSE)
        slot = engine.slots.take(attempt, granted, still)
        if slot is None or room.is_there():
            return slot
        engine.slots.give_back(attempt)  # it became full while we waited for a slot
