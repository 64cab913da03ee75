"""Long work on files that ends soon after it is cancelled: copies and checksums look up between two pieces."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from typing import IO, Any

from cwltool.stdfsaccess import StdFsAccess

#: Called now and then; raises when the work is to end.
Check = Callable[[], None]

#: Bytes that are copied between two looks.
PIECE = 16 * 2**20


def never() -> None:
    """Let all work go on to its end."""


def copy(source: str, target: str, check: Check = never) -> None:
    """Copy a file with its times and mode, as :func:`shutil.copy2` does; what is begun stays when ``check`` raises."""
    if check is never or os.path.getsize(source) <= PIECE:
        check()
        shutil.copy2(source, target)
        return
    with open(source, "rb") as reader, open(target, "wb") as writer:
        offset = 0
        while sent := os.sendfile(writer.fileno(), reader.fileno(), offset, PIECE):
            offset += sent
            check()
    shutil.copystat(source, target)


class WatchedAccess(StdFsAccess):
    """cwltool's access to files, which looks up while it reads."""

    def __init__(self, basedir: str, check: Check) -> None:
        super().__init__(basedir)
        self._check = check

    def open(self, fn: str, mode: str) -> IO[Any]:
        """Open a file."""
        if mode != "rb":
            return super().open(fn, mode)
        return io.BufferedReader(_Watched(self._abs(fn), self._check))


class _Watched(io.FileIO):
    def __init__(self, path: str, check: Check) -> None:
        super().__init__(path, "rb")
        self._check = check

    def readinto(self, buffer: Any) -> int | None:  # type: ignore[override]
        self._check()
        return super().readinto(buffer)
