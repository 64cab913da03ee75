"""What something points to, and what may be removed beside it. Pure."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit


class Fate(StrEnum):
    """What becomes of a path."""

    GOES = "goes"  # nothing points to it, or into it
    STAYS = "stays"  # something points to it, or to a directory around it
    PARTLY = "partly"  # something points into it: what is in it has fates of its own


@dataclass(frozen=True)
class Pointer:
    """A file or directory of this host that a CWL value names."""

    path: str
    directory: bool = False


def pointers(value: Any) -> Iterator[Pointer]:
    """Yield all that the Files and Directories of a CWL value name, with secondary files and listings."""
    if isinstance(value, Mapping):
        kind = value.get("class")
        if kind in ("File", "Directory"):
            path = _path(value.get("location") or value.get("path"))
            if path is not None:
                yield Pointer(path, kind == "Directory")
        for part in value.values():
            yield from pointers(part)
    elif isinstance(value, list):
        for part in value:
            yield from pointers(part)


def _path(location: Any) -> str | None:
    if not isinstance(location, str):
        return None
    if location.startswith("file:"):
        location = unquote(urlsplit(location).path)
    return os.path.normpath(location) if location.startswith("/") else None


class Kept:
    """The paths that have to stay: absolute, without ``..``, and none reached through a link."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._exact = set(paths)
        self._sorted = sorted(self._exact)

    def fate(self, path: str) -> Fate:
        """Return what becomes of a path."""
        if any(above in self._exact for above in ancestors(path)):
            return Fate.STAYS
        inside = path.rstrip("/") + "/"
        index = bisect_left(self._sorted, inside)
        into = index < len(self._sorted) and self._sorted[index].startswith(inside)
        return Fate.PARTLY if into else Fate.GOES

    def count(self, directory: str) -> int:
        """Count the paths in a directory."""
        inside = directory.rstrip("/") + "/"
        # "0" is what follows "/"
        return bisect_left(self._sorted, inside[:-1] + "0") - bisect_left(self._sorted, inside)


def ancestors(path: str) -> Iterator[str]:
    """Yield a path and all directories around it, the nearest first."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above
