"""Where the files of a run from outside may lie: each path that a job reads, links, mounts or publishes goes by here.

A path has to lie in an allowed directory as it is written, without a ``..`` that leaves it on the way, and again
once links are followed. Whether there is anything at a path that is refused makes no difference to what is said.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import stat
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cwltool.pathmapper import MapperEnt, PathMapper
from cwltool.stdfsaccess import StdFsAccess

from celeriac.access import Access, is_allowed, is_remote, is_within, path_of, refused, shown
from celeriac.errors import AccessError, StepFailed
from celeriac.job.options import RunOptions
from celeriac.job.trees import entries
from celeriac.job.watch import Check, WatchedAccess, never

if TYPE_CHECKING:
    from celeriac.document.remote import Remote

#: Bytes of a tool's cwl.output.json.
_MOST_JSON = 64 * 2**20
#: How deep a value may be nested.
_DEPTH = 100


class Fence:
    """The directories that one run may reach: those that are allowed, and its own."""

    def __init__(self, access: Access, own: Iterable[str | os.PathLike[str]], remote: Remote | None = None) -> None:
        self.access = access
        mine = [os.path.abspath(directory) for directory in own if str(directory)]
        self._own = mine[0] if mine else ""
        self._mine = (*mine, *map(os.path.realpath, mine))
        self._written = (*access.roots, *self._mine)
        self._remote = remote

    @classmethod
    def of(cls, options: RunOptions, own: str | os.PathLike[str] = "") -> Fence | None:
        """Return a run's fence; ``own`` is its directory. None: it is an operator's, and has none."""
        return cls(Access.from_json(options.access), (own,)) if options.access is not None else None

    def path(self, path: str, told: str = "") -> str:
        """Return a path with its links followed; raises :class:`~celeriac.errors.AccessError`."""
        if "\0" not in path and is_allowed(path, self._written, self.access.hidden):
            real = os.path.realpath(path)
            if is_allowed(real, self._written, self.access.hidden):
                return real
        raise refused(told or path, self.access.roots)

    def output(self, directory: str) -> None:
        """Check a directory that outputs are to go to. Raises as :meth:`path`."""
        wanted, hidden = (*self.access.outputs, *self._mine), self.access.hidden
        real = os.path.realpath(directory)
        if not is_allowed(directory, wanted, hidden) or not is_allowed(real, wanted, hidden):
            raise refused(directory, self.access.outputs)

    def location(self, location: Any, basedir: str = "/") -> str | None:
        """Return the real path of a File's location; None for what lies on no disk. Raises as :meth:`path`."""
        if not isinstance(location, str):
            raise AccessError(f"a location is {type(location).__name__}: a text was expected")
        path = path_of(location, basedir)
        if path is not None:
            return self.path(path, location)
        if is_remote(location):
            self.access.check_host(location)
        return None

    def value(self, value: Any, basedir: str = "/") -> None:
        """Check all that the Files and Directories of a CWL value name. Raises as :meth:`path`."""
        waiting = [(value, 0)]
        while waiting:
            one, depth = waiting.pop()
            if depth > _DEPTH:
                raise AccessError(f"a value is nested more than {_DEPTH} levels deep")
            if isinstance(one, dict):
                if one.get("class") in ("File", "Directory"):
                    for name in ("location", "path"):
                        if one.get(name) is not None:
                            self.location(one[name], basedir)
                waiting += [(part, depth + 1) for part in one.values()]
            elif isinstance(one, (list, tuple)):
                waiting += [(part, depth + 1) for part in one]

    def entry(self, path: str, real: str) -> None:
        """Check what a link in a directory leads to; raises as :meth:`path`, and tells of the link alone."""
        if not is_allowed(real, self._written, self.access.hidden):
            raise refused(path, self.access.roots)

    def tree(self, path: str, above: frozenset[str] = frozenset()) -> None:
        """Check all links in a directory that is to be copied. Raises as :meth:`path`."""
        real = self.path(path)
        for _, kind, inside in entries(real, above | {real}, self.entry):
            if kind == "Directory":
                self.tree(inside, above | {real})

    def changes(self, path: str) -> None:
        """Check a file or directory that a tool is to change in place: it has to be the run's own."""
        if not is_within(os.path.realpath(path), self._mine):
            raise AccessError(
                f"{shown(path)} would be changed in place (InplaceUpdateRequirement), and is not the run's own",
                hint="have the tool write a new file",
            )

    def download(self, url: str, check: Check = never) -> str:
        """Return where the content of a URL is, among the run's own files: got once for all its jobs."""
        self.access.check_host(url)
        directory = Path(self._own, "downloads", hashlib.sha256(url.encode()).hexdigest()[:32])
        target = directory / _name(url)
        if not target.exists():
            from celeriac.document.remote import Remote

            directory.mkdir(parents=True, exist_ok=True)
            (self._remote or Remote(self.access)).download(url, target, check)
        return str(target)


def _name(url: str) -> str:
    """Return the name of the file that a URL's content is put into."""
    name = os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    plain = "".join(letter for letter in name if letter.isprintable())[-150:]
    return plain if plain.strip(".") else "index"


class FencedFiles:
    """Makes cwltool's access to files of a run: what :class:`celeriac.document.inputs.Files` asks for."""

    def __init__(self, fence: Fence, check: Check = never) -> None:
        self._fence = fence
        self._check = check

    def __call__(self, basedir: str, /) -> StdFsAccess:
        """Return an access that stays within the fence."""
        return FencedAccess(basedir, self._fence, self._check)

    def check(self, value: Any, basedir: str) -> None:
        """Raise :class:`~celeriac.errors.AccessError` for what may not be looked at."""
        self._fence.value(value, basedir)


def file_access(fence: Fence | None, check: Check = never) -> Callable[[str], StdFsAccess]:
    """Return what makes cwltool's access to files."""
    if fence is not None:
        return FencedFiles(fence, check)
    return StdFsAccess if check is never else functools.partial(WatchedAccess, check=check)


class FencedAccess(WatchedAccess):
    """cwltool's access to files, which stays within a fence."""

    def __init__(self, basedir: str, fence: Fence, check: Check = never) -> None:
        super().__init__(basedir, check)
        self._fence = fence

    def _abs(self, p: str) -> str:
        base = urllib.parse.unquote(urllib.parse.urlsplit(self.basedir).path)
        found = self._fence.location(p, base or "/")
        if found is not None:
            return found
        raise FileNotFoundError(errno.ENOENT, "it is not a file of this host", p)

    def glob(self, pattern: str) -> list[str]:
        """Return what matches; a pattern that leads out is refused, whatever it would match."""
        plain = pattern if pattern.startswith("/") else f"{self.basedir.rstrip('/')}/{pattern}"
        if ".." in plain.split("/"):
            raise refused(pattern, self._fence.access.roots)
        found: list[str] = StdFsAccess("/").glob(plain)
        for one in found:
            self._fence.location(one)
        return found

    def listdir(self, fn: str) -> list[str]:
        """Return what is in a directory, each where it is written: it is looked at when its turn comes."""
        self._abs(fn)
        found: list[str] = StdFsAccess(self.basedir).listdir(fn)
        return found

    def exists(self, fn: str) -> bool:
        """Whether something is there."""
        return not _is_literal(fn) and super().exists(fn)

    def isfile(self, fn: str) -> bool:
        """Whether a file is there."""
        return not _is_literal(fn) and super().isfile(fn)

    def isdir(self, fn: str) -> bool:
        """Whether a directory is there."""
        return not _is_literal(fn) and super().isdir(fn)

    def open(self, fn: str, mode: str) -> IO[Any]:
        """Open a file to read it; what a tool says of its outputs (``r``) is looked at first."""
        path = self._abs(fn)
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            raise AccessError(f"{shown(fn)} is no regular file")
        if mode == "r":
            _check_json(path)
        return super().open(path, mode)


def _is_literal(location: str) -> bool:
    return location.startswith("_:") or is_remote(location)


def _check_json(path: str) -> None:
    if os.path.getsize(path) > _MOST_JSON:
        raise StepFailed(f"{os.path.basename(path)} has more than {_MOST_JSON >> 20} MiB")
    with open(path, encoding="utf-8") as file:
        try:
            json.load(file)
        except RecursionError:
            raise StepFailed(f"{os.path.basename(path)} is nested too deeply") from None
        except ValueError:
            pass  # who reads it says so


def fenced(mapper: type[PathMapper], fence: Fence, check: Check = never) -> type[PathMapper]:
    """Return a mapper whose files all lie within a fence; what lies elsewhere is got by the fence's own rules."""

    class Fenced(mapper):  # type: ignore[valid-type, misc]
        def visit(
            self, obj: Any, stagedir: str, basedir: str, copy: bool = False, staged: bool = False
        ) -> None:
            """Map one file or directory."""
            location = obj["location"]
            real = fence.location(location, basedir)
            if not isinstance(obj.get("dirname") or "", str):
                raise AccessError("a dirname is no text")
            if real is None and is_remote(location) and location not in self._pathmap:
                _map_remote(self, obj, fence.download(location, check), stagedir, basedir, copy, staged)
                return
            super().visit(obj, stagedir, basedir, copy=copy, staged=staged)
            entry = self._pathmap[location]
            if real is not None and entry.type in ("File", "Directory", "WritableFile", "WritableDirectory"):
                self._pathmap[location] = entry._replace(resolved=real)

    return Fenced


def _map_remote(
    mapper: Any, obj: Any, path: str, stagedir: str, basedir: str, copy: bool, staged: bool
) -> None:
    if obj["class"] != "File":
        raise AccessError(f"the Directory {obj['location']} lies on another host: only files come over http(s)")
    directory = obj.get("dirname") or stagedir
    target = os.path.join(directory, obj["basename"])
    mapper._pathmap[obj["location"]] = MapperEnt(path, target, "WritableFile" if copy else "File", staged)
    mapper.visitlisting(obj.get("secondaryFiles", []), directory, basedir, copy=copy, staged=staged)
