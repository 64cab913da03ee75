"""File systems: how much room they have, and what it means when one has none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator

from celeriac.errors import DiskFull

#: Errors of the system that mean: there is no room, or this user may have no more.
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Bytes below which a file system has no room for a tool.
LITTLE = 2**20
_HINT = "`celeriac clean` frees what ended runs left; or give the file system more room"


def free(path: str | os.PathLike[str]) -> int | None:
    """Return the bytes that this user may still write where a path is or will be; None where nobody can tell."""
    for place in _above(path):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def file_system(path: str | os.PathLike[str]) -> str:
    """Return where the file system of a path is mounted."""
    return next((place for place in _above(os.path.realpath(path)) if os.path.ismount(place)), os.sep)


def _above(path: str | os.PathLike[str]) -> Iterator[str]:
    place = os.path.abspath(path)
    while True:
        yield place
        if place == os.path.dirname(place):
            return
        place = os.path.dirname(place)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, means that a file system had no room."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_used_up(path: str | os.PathLike[str]) -> bool:
    """Whether hardly anything can be written where a path is."""
    there = free(path)
    return there is not None and there < LITTLE


def no_room(what: str, path: str | os.PathLike[str]) -> DiskFull:
    """Return the error for ``what`` (a sentence without its end) that was to be written at a path."""
    place = file_system(path)
    return DiskFull(
        f"{what}: the file system {place} has no room left",
        hint=_HINT,
        path=os.fspath(path),
        file_system=place,
        free=free(path),
    )


def too_little(what: str, path: str | os.PathLike[str], there: int, wanted: int, seconds: float) -> DiskFull:
    """Return the error for ``what`` that did not start, since a file system kept having less than is to be free."""
    place = file_system(path)
    return DiskFull(
        f"'{what}' was not started: the file system {place} of {os.fspath(path)} has {there // 2**20} MiB free, and "
        f"{wanted // 2**20} MiB were waited for, {seconds:.0f} seconds long",
        hint=f"{_HINT}. CELERIAC_DISK_RESERVE says how much is to be free, CELERIAC_DISK_PATIENCE how long to wait",
        path=os.fspath(path),
        file_system=place,
        free=there,
        wanted=wanted,
    )
