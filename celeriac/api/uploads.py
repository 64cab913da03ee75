"""Attachments of a request: where they may go by their names, and how they get there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from celeriac.errors import InputError

#: Bytes of a name, and of one part of it, as file systems take them.
LONGEST = 1024
LONGEST_PART = 255
#: Bytes that are copied at a time.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Attachment:
    """A file that came with a request; its name is clean."""

    name: str
    file: BinaryIO


def clean(given: str | None) -> str:
    """Return an attachment's name as a relative path without detours.

    WES 1.1, RunWorkflow: names may have subdirectories, never ``..``. Raises
    :class:`~celeriac.errors.InputError` for a name that could lead anywhere else, or nowhere.
    """
    if not given:
        raise InputError("an attachment has no filename, but each part needs one")
    shown = given if len(given) <= 100 else given[:97] + "..."

    def wrong(why: str) -> InputError:
        return InputError(f"the attachment {shown!r} {why}: a relative path such as data/reads.fq was expected")

    if any(not character.isprintable() for character in given):
        raise wrong("has a character in its name that can't be printed")
    if given.startswith(("/", "~")) or "\\" in given:
        raise wrong("has a name that is no relative path")
    parts = [part for part in given.split("/") if part != "."]
    if ".." in parts:
        raise wrong("has '..' in its name")
    if not parts or "" in parts:
        raise wrong("names no file")
    encoded = [part.encode() for part in parts]
    if max(map(len, encoded)) > LONGEST_PART or sum(map(len, encoded)) + len(parts) > LONGEST:
        raise wrong("has too long a name")
    return "/".join(parts)


def distinct(names: Sequence[str]) -> None:
    """Raise :class:`~celeriac.errors.InputError` when two names can't both be files in one directory."""
    seen = set(names)
    if len(seen) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"there are two attachments {twice!r}")
    for name in names:
        above = name
        while "/" in above:
            above = above.rpartition("/")[0]
            if above in seen:
                raise InputError(f"the attachment {above!r} is a file, and the folder of {name!r}")


def store(attachments: Iterable[Attachment], directory: Path) -> None:
    """Write attachments under a directory, which must not be there yet; on an error nothing of it is left."""
    directory.mkdir(parents=True)
    try:
        for attachment in attachments:
            target = directory / attachment.name
            target.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(target, flags, 0o666), "wb") as file:
                shutil.copyfileobj(attachment.file, file, _PIECE)
    except BaseException:
        remove(directory)
        raise


def remove(directory: Path) -> None:
    """Remove the attachments of a run that came to nothing, and its directory if it holds nothing else."""
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.parent.rmdir()
    except OSError:
        pass
