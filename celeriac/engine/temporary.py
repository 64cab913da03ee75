"""Temporary directories of a process's attempts: one that a tool left as it found it goes to the next one.

A directory costs more to make and to remove than an echo to run.
"""

from __future__ import annotations

import os
import stat
import threading
import uuid
from collections import OrderedDict
from pathlib import Path

#: Runs whose directories are remembered.
_RUNS = 64


class TemporaryDirectories:
    """Those that nothing uses now, by the directory of the run that they lie in. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: OrderedDict[Path, list[Path]] = OrderedDict()

    def take(self, run: Path) -> Path:
        """Return an empty one in a run's directory, for one attempt at a time; it is made by who uses it."""
        with self._lock:
            spare = self._spare.get(run)
            return spare.pop() if spare else run / f"tmp-{uuid.uuid4().hex[:12]}"

    def keep(self, run: Path, directory: Path) -> bool:
        """Keep a directory for the next attempt; False: something was done to it, and it has to be removed."""
        if not _is_untouched(directory):
            return False
        with self._lock:
            self._spare.setdefault(run, []).append(directory)
            self._spare.move_to_end(run)
            if len(self._spare) > _RUNS:
                self._spare.popitem(last=False)  # they go with their run's directory
        return True


def _is_untouched(directory: Path) -> bool:
    """Whether a directory is as it was made: empty, ours, and one that we can write to."""
    try:
        found = os.lstat(directory)
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        return ours and found.st_mode & stat.S_IRWXU == stat.S_IRWXU and not os.listdir(directory)
    except OSError:
        return False
