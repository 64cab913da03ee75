"""Walks of directories that are to be removed: links are never followed, and a tree is never held as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from celeriac.job.kept import Fate, Kept, Pointer

#: Links that follow one another; more of them are a loop.
_HOPS = 40

_real = lru_cache(maxsize=4096)(os.path.realpath)


def reached(pointer: Pointer) -> Iterator[str]:
    """Yield the path that is pointed to and each that it leads to by links, as paths without links above them.

    What is in a directory is not looked at: see :func:`links`.
    """
    path = pointer.path
    for _ in range(_HOPS):
        if (real := _real(os.path.dirname(path))) != os.path.dirname(path):
            yield path  # a link above it has to stay as well
        path = os.path.join(real, os.path.basename(path))
        yield path
        try:
            path = os.path.normpath(os.path.join(real, os.readlink(path)))
        except OSError:  # no link, or not there
            return


def links(directory: str) -> Iterator[Pointer]:
    """Yield where the links in a directory lead, those in what they lead to as well."""
    seen: set[str] = set()
    waiting = [os.path.realpath(directory)]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        for entry in _entries(place):
            if entry.is_symlink():
                yield Pointer(entry.path)
                if os.path.isdir(entry.path):
                    waiting.append(os.path.realpath(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def removable(root: str, kept: Kept) -> Iterator[str]:
    """Yield the paths in and under ``root`` that may go, each as a whole."""
    if (fate := kept.fate(root)) is not Fate.PARTLY:
        if fate is Fate.GOES:
            yield root
        return
    waiting = [root]
    while waiting:
        for entry in _entries(waiting.pop()):
            fate = kept.fate(entry.path)
            if fate is Fate.GOES:
                yield entry.path
            elif fate is Fate.PARTLY and entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            yield from found
    except OSError:  # it has gone meanwhile, or may not be read: then it can't be emptied either
        return


@dataclass
class Freed:
    """What a removal frees."""

    files: int = 0
    bytes: int = 0  # on disk; a file with a name elsewhere frees nothing

    def add(self, path: str) -> None:
        """Count a path with all that is in it."""
        waiting = [path]
        while waiting:
            place = waiting.pop()
            try:
                found = os.lstat(place)
            except OSError:
                continue
            is_dir = os.path.isdir(place) and not os.path.islink(place)
            self.files += not is_dir
            if is_dir or found.st_nlink == 1:
                self.bytes += found.st_blocks * 512
            if is_dir:
                waiting.extend(entry.path for entry in _entries(place))


def remove(path: str) -> None:
    """Remove a file, a link or a directory with all that is in it; raises OSError for what stays."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
