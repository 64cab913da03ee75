"""CWL values by what they hold: two that are described alike are the same to a tool, wherever they lie."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from schema_salad.ref_resolver import uri_file_path

from celeriac.job.digests import LARGE, Digests
from celeriac.job.trees import Guard, entries

#: Fields of a File or Directory that say where it lies, or follow from what is described.
_DERIVED = frozenset(
    {
        "location", "path", "dirname", "basename", "nameroot", "nameext", "size", "checksum", "contents", "listing",
        "http://commonwl.org/cwltool#generation",
    }
)  # fmt: skip


class Content:
    """Describes values by content.

    ``own`` is the run's own directory: a large file there was read when its checksum was written, and is not
    read again. With ``places`` a value's location is part of it. ``guard`` raises for what may not be read.
    """

    def __init__(
        self, digests: Digests, own: str = "", *, places: bool = False, guard: Guard | None = None
    ) -> None:
        self._digests = digests
        self._own = own and own.rstrip("/") + "/"
        self._places = places
        self._guard = guard
        self.read_disk = False  # a file or directory was looked at

    def of(self, value: Any) -> Any:
        """Return a value's description as JSON; raises OSError for a file that can't be read here."""
        if isinstance(value, Mapping):
            if value.get("class") in ("File", "Directory"):
                return self._entry(value)
            return {str(name): self.of(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(part) for part in value]
        return value

    def _entry(self, item: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: self.of(part) for name, part in item.items() if name not in _DERIVED}
        found["basename"] = _basename(item)
        path = path_of(item)
        self.read_disk = self.read_disk or path is not None
        if path is None:
            found |= {name: self.of(item[name]) for name in ("contents", "listing") if name in item}
            return found
        if self._guard is not None:
            self._guard(path, os.path.realpath(path))
        if self._places:
            found["location"] = path
        if item["class"] == "File":
            found["content"] = self._file(path, item)
            found |= {"loaded": True} if item.get("contents") is not None else {}
        else:
            real = os.path.realpath(path)
            found["content"] = self._tree(real, frozenset({real}))
            found |= {"listed": list(_names(item["listing"]))} if item.get("listing") is not None else {}
        return found

    def _file(self, path: str, item: Mapping[str, Any]) -> list[Any]:
        status = os.stat(path)
        checksum = str(item.get("checksum") or "")
        known = (
            status.st_size > LARGE
            and item.get("size") == status.st_size
            and checksum.startswith("sha1$")
            and bool(self._own)
            and path.startswith(self._own)
        )
        # a script that may not be executed is another one
        return [checksum if known else self._digests.of(path), bool(status.st_mode & stat.S_IXUSR)]

    def _tree(self, path: str, above: frozenset[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, kind, real in entries(path, above, self._guard):
            found[name] = self._tree(real, above | {real}) if kind == "Directory" else self._file(real, {})
        return found


def path_of(item: Mapping[str, Any]) -> str | None:
    """Return where a File or Directory lies on this host; None: it is a literal.

    Raises OSError for one that lies elsewhere.
    """
    location = item.get("location") or item.get("path")
    if not location or location.startswith("_:"):
        return None
    if location.startswith("file:"):
        return str(uri_file_path(location))
    if "://" in location or not location.startswith("/"):
        raise OSError(errno.ENOENT, "it is not a file of this host", location)
    return str(location)


def _basename(item: Mapping[str, Any]) -> str:
    location = str(item.get("location") or item.get("path") or "")
    named = item.get("basename")
    if named is not None or location.startswith("_:"):
        return str(named or "")
    last = location.rstrip("/").rpartition("/")[2]
    return unquote(last) if location.startswith("file:") else last


def _names(listing: Any) -> Iterator[Any]:
    """Yield the names of a listing: what is in the files is told by the tree."""
    for entry in listing:
        inside = entry.get("listing")
        yield _basename(entry) if inside is None else [_basename(entry), *_names(inside)]
