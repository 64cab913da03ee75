"""Files that only this user writes, for what is kept between processes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def is_mine(path: Path) -> bool:
    """Whether a file is there, and nobody else could have written it."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def write(path: Path, data: bytes) -> None:
    """Write a file at once: who reads it sees all of it or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
