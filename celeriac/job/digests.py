"""The digests of files: each file is read once, as long as it stays as it is."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections import OrderedDict
from typing import Protocol

#: Bytes above which a digest is kept outside of the process too: to read the file costs more than to ask.
LARGE = 2**20
#: Digests that a process remembers.
SIZE = 4096
#: Seconds for which a file that was changed is read anew: clocks of file systems are coarse, and two changes
#: within one tick look the same.
SETTLED = 2.0


class Store(Protocol):
    """Where the digests of large files outlive the process."""

    def get(self, path: str, stamp: str) -> str | None:
        """Return the digest of a file that has this stamp, or None."""

    def put(self, path: str, stamp: str, digest: str) -> None:
        """Keep a digest; what was kept of that path before is of no use any more."""


class Digests:
    """File -> digest, as CWL writes checksums: ``sha1$...``. Safe to use from many threads."""

    def __init__(self, store: Store | None = None, size: int = SIZE) -> None:
        self._store = store
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def of(self, path: str) -> str:
        """Return a file's digest; raises OSError for what can't be read, or changes while it is read."""
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        mark = stamp(found)
        with self._lock:
            known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        store = self._store if found.st_size > LARGE else None
        digest = store.get(path, mark) if store is not None else None
        if digest is None:
            mark, digest = _read(path)
            if time.time() - found.st_ctime < SETTLED:
                return digest
            if store is not None:
                store.put(path, mark, digest)
        self._remember(path, mark, digest)
        return digest

    def _remember(self, path: str, mark: str, digest: str) -> None:
        with self._lock:
            self._known[path] = (mark, digest)
            self._known.move_to_end(path)
            while len(self._known) > self._size:
                self._known.popitem(last=False)


def stamp(found: os.stat_result) -> str:
    """Return what changes with a file's content: size, device, inode, and the times of change.

    The last of them, of the inode, can't be set by anybody: a file whose other time was put back has another.
    """
    return f"{found.st_size}:{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def _read(path: str) -> tuple[str, str]:
    with open(path, "rb") as file:
        before = stamp(os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
        after = stamp(os.fstat(file.fileno()))
    if before != after:
        raise OSError(errno.EBUSY, "it was changed while it was read", path)
    return before, f"sha1${digest}"
