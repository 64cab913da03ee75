"""The queues as their file is now: a change of the file holds for new runs, without a restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from celeriac.errors import QueueFileError
from celeriac.resources import QueueLimits
from queues.file import load

log = logging.getLogger(__name__)


class QueueFile:
    """A queue file that is read again when it has changed. Safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises :class:`~celeriac.errors.QueueFileError`."""
        self.path = path
        self._lock = threading.Lock()
        self._mark = self._look()
        self._queues = load(path)

    def __call__(self) -> Sequence[QueueLimits]:
        """Return the queues; while the file has a mistake, those that it had before."""
        mark = self._look()
        with self._lock:
            if mark != self._mark:
                self._mark = mark
                self._read()
            return self._queues

    def _read(self) -> None:
        try:
            self._queues = load(self.path)
        except QueueFileError as error:
            log.error("the queues stay as they were, since their file has a mistake: %s", error)
        else:
            log.warning("%s has changed: new runs go by it", self.path)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
