"""The files behind a tool's standard streams."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from celeriac.container.disk import is_full, no_room
from celeriac.errors import ContainerError


def open_input(path: Path) -> BinaryIO:
    """Open what a tool reads; raises :class:`~celeriac.errors.ContainerError` if it can't be read."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise _failed("standard input", path, "can't be read", error) from error


def open_output(path: Path) -> BinaryIO:
    """Open what a tool writes, emptied.

    Raises :class:`~celeriac.errors.ContainerError` if it can't be written, its child DiskFull for want of room.
    In append mode, so that standard output and standard error may be the same file.
    """
    try:
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666), "ab")
    except OSError as error:
        raise _failed("output", path, "can't be written", error) from error


def _failed(what: str, path: Path, problem: str, error: OSError) -> ContainerError:
    if is_full(error):
        return no_room(f"the tool's {what} '{path}' {problem}", path)
    return ContainerError(f"the tool's {what} '{path}' {problem}: {error.strerror}", path=str(path))
