"""Whether the outputs of an earlier job are still what that job made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from celeriac.job.content import Content, path_of
from celeriac.job.digests import Digests
from celeriac.job.trees import Guard

#: Parts of this kind tell what was in the directories among a job's outputs: CWL gives those no checksum.
OUTPUT = "output."


def broken(outputs: Mapping[str, Any], directories: Mapping[str, str], digests: Digests) -> str | None:
    """Return what is wrong with outputs, the file first; None: they are whole.

    ``directories`` is what :func:`directory_parts` returned when they were made.
    """
    for item in _entries(outputs):
        try:
            path = path_of(item)
            problem = _changed(path, item, digests) if path is not None else None
        except OSError as error:
            path, problem = str(error.filename or item.get("location")), _words(error)
        if problem:
            return f"{path} {problem}"
    try:
        found = directory_parts(outputs, digests)
    except OSError as error:
        return f"{error.filename} {_words(error)}"
    changed = [name for name in found if found[name] != directories.get(name)]
    return f"what is in the output directory {_named(outputs, changed[0])} was changed" if changed else None


def is_there(outputs: Mapping[str, Any]) -> bool:
    """Whether all that outputs name on this host is there, files with their size; what is in them is not read."""
    for item in _entries(outputs):
        try:
            path = path_of(item)
        except OSError:  # it lies elsewhere
            continue
        if path is None:
            continue
        if not os.path.exists(path):
            return False
        if item["class"] == "File" and os.path.getsize(path) != item.get("size", os.path.getsize(path)):
            return False
    return True


def directory_parts(outputs: Mapping[str, Any], digests: Digests, guard: Guard | None = None) -> dict[str, str]:
    """Return a short digest for each output that has directories; raises OSError for what can't be read."""
    from celeriac.job.key import SHORT, digest

    content = Content(digests, guard=guard)
    return {
        OUTPUT + name: digest(content.of(value))[:SHORT]
        for name, value in outputs.items()
        if any(item["class"] == "Directory" for item in _entries(value))
    }


def _changed(path: str, item: Mapping[str, Any], digests: Digests) -> str | None:
    if item["class"] == "Directory":
        return None if os.path.isdir(path) else "is not there any more"
    size = os.stat(path).st_size
    if "size" in item and size != item["size"]:
        return f"has {size} bytes where it had {item['size']}"
    checksum = item.get("checksum")
    if not checksum and not item.get("_inside"):
        return "has no checksum to compare it by"
    return "was changed" if checksum and digests.of(path) != checksum else None


def _words(error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "is not there any more"
    return f"can't be read: {error.strerror}"


def _named(outputs: Mapping[str, Any], part: str) -> str:
    value = outputs[part.removeprefix(OUTPUT)]
    return next(str(path_of(item)) for item in _entries(value) if item["class"] == "Directory")


def _entries(value: Any, inside: bool = False) -> Iterator[Any]:
    """Yield all Files and Directories of a value; what lies in a directory is marked: its digest tells of it."""
    if isinstance(value, Mapping):
        kind = value.get("class")
        if kind in ("File", "Directory"):
            yield {**value, "_inside": True} if inside else value
        for part in value.values():
            yield from _entries(part, inside or kind == "Directory")
    elif isinstance(value, list):
        for part in value:
            yield from _entries(part, inside)
