"""One at a time for each name: among the threads of a process and, by lock files, among processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celeriac.container.base import CancelToken

#: Seconds between two looks at a lock file that another process holds.
PAUSE = 0.1


class NameLocks:
    """Locks by name. ``directory`` holds their files; None: threads alone are kept apart."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    @contextmanager
    def holding(self, name: str, cancel: CancelToken) -> Iterator[None]:
        """Hold a name's lock; raises :class:`~celeriac.errors.Cancelled` while it waits."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        while not lock.acquire(timeout=PAUSE):
            if cancel.cancelled:
                raise cancel.error(name)
        try:
            with self._file(name, cancel):
                yield
        finally:
            lock.release()

    @contextmanager
    def _file(self, name: str, cancel: CancelToken) -> Iterator[None]:
        if self._directory is None:
            yield
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"image-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(fd):
                if cancel.wait(PAUSE):
                    raise cancel.error(name)
            yield
        finally:
            os.close(fd)  # and with it the lock; the file stays, or two could hold the same name


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
