"""What a tool's error tells beside its message: the command, the image, where its output is, its last words."""

from __future__ import annotations

import os
from pathlib import Path

from celeriac.container.base import Command
from celeriac.errors import Cancelled, CeleriacError, CommandNotFound

#: How much of a failed tool's standard error is quoted: bytes, and lines.
TAIL = 2000
LINES = 20
#: Characters of a command that are kept.
MOST = 65_536


def add(error: CeleriacError, command: Command) -> None:
    """Add what is known of a tool that did not end well: fields for programs, and its last words to the hint."""
    error.fields.setdefault("command", list(command.argv))
    if command.container is not None:
        error.fields.setdefault("image", command.container.image.name)
    error.fields.setdefault("stdout", str(command.stdout))
    error.fields.setdefault("stderr", str(command.stderr))
    if not isinstance(error, Cancelled | CommandNotFound):  # a program that is not there said nothing
        said = quoted(tail(command.stderr))
        error.hint = f"{error.hint}\n{said}".strip()


def words(command: Command) -> list[str]:
    """Return what a tool was called with, up to :data:`MOST` characters."""
    found: list[str] = []
    left = MOST
    for word in command.argv:
        left -= len(word) + 1
        if left < 0:
            return [*found, "..."]
        found.append(word)
    return found


def quoted(said: str) -> str:
    """Return the last lines of what a tool said, with a line above them; empty if it said nothing."""
    lines = said.splitlines()[-LINES:]
    return "\n".join(("the end of its standard error:", *lines)) if lines else ""


def tail(path: Path) -> str:
    """Return the end of a file, from the beginning of a line on if there is one; empty if it can't be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            found = file.read()
    except OSError:
        return ""
    if size > TAIL and b"\n" in found.rstrip(b"\n"):
        found = found.partition(b"\n")[2]
    return found.decode("utf-8", "replace").strip()
