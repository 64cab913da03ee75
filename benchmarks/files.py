"""Where the runs of a session have their files: in memory if there is room, and all till the session's end.

A disk tells of itself: for minutes after many files were removed, ext4 without a journal is several times slower to
make new ones, and whoever's turn is next would pay for what others have removed. So nothing is removed between turns,
and the disk is left out of it where it can be.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Files in memory, on Linux.
MEMORY = Path("/dev/shm")
#: Bytes that a session with all works may take there.
ROOM = 6 * 2**30


def usual() -> Path:
    """Return the directory for the files of a session unless one is named."""
    try:
        free = shutil.disk_usage(MEMORY).free
    except OSError:
        free = 0
    return MEMORY if free >= ROOM and os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def system(directory: Path) -> str:
    """Return the kind of file system that a directory is in, such as ext4."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    found = [(place, kind) for place, kind in mounts if directory.resolve().is_relative_to(place)]
    return max(found, key=lambda mount: len(mount[0]))[1] if found else "unknown"


@contextmanager
def session(directory: Path) -> Iterator[Path]:
    """Yield a folder for a session, which is removed at its end."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=directory, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
