"""Files for callers: opened below one directory and nowhere else, sent in pieces, whole or a range (RFC 9110, 14)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi.responses import StreamingResponse

from celeriac.api.errors import HttpError

_PIECE = 1 << 18
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def open_below(root: Path, relative: str) -> BinaryIO | None:
    """Open a plain file below a directory; None where there is none, or a link leads out of the directory."""
    try:
        real = os.path.realpath(root)
        # what it is called is asked of the open file: nobody can put another in its place between
        handle = os.open(os.path.join(real, relative), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    name = os.readlink(f"/proc/self/fd/{handle}")
    if not name.startswith(real.rstrip("/") + "/") or not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    return open(handle, "rb")


def span(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last that a ``Range`` header asks for; None: all of them.

    Several ranges, and other units, are answered with all, as a server may. Raises a 416 for a range outside.
    """
    found = _RANGE.fullmatch(header.replace(" ", "")) if header and len(header) < 100 else None
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise HttpError(416, f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def response(file: BinaryIO, wanted: str | None, *, media: str, name: str | None = None) -> StreamingResponse:
    """Return a file as a response: as long as it is now, though it may grow meanwhile."""
    size = os.fstat(file.fileno()).st_size
    try:
        part = span(wanted, size)
    except HttpError:
        file.close()
        raise
    start, stop = part or (0, size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(stop - start),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    if name is not None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{_quoted(name)}"
    return StreamingResponse(_pieces(file, start, stop), 200 if part is None else 206, headers, media_type=media)


def _pieces(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = stop - start
        while left > 0:
            piece = file.read(min(_PIECE, left))
            if not piece:  # it was cut meanwhile: the length that was said can't be kept
                raise OSError("the file is shorter than it was")
            left -= len(piece)
            yield piece


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name.encode("utf-8", "surrogateescape"), safe="")
