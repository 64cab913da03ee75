"""A job from outside: what its files are, and what of it is never looked at. Pure but for the names of directories."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from celeriac.errors import InputError

#: They would have the job's reader open other files while it reads.
DIRECTIVES = frozenset({"$import", "$include", "$mixin", "$graph", "$schemas", "cwl:tool"})
_TOOL = "https://w3id.org/cwl/cwl#tool"
#: Says yes or raises: whether a run may have a file at an absolute path or a URL.
Allowed = Callable[[str], None]


def resolve(values: Mapping[str, Any], names: Collection[str], directory: Path, allowed: Allowed) -> dict[str, Any]:
    """Return a job whose files and directories have absolute locations.

    A relative one is among the attachments (``names``), which are in ``directory``. An absolute path of the
    client's that ends as the name of an attachment does is that attachment: ``wes-client`` writes them so. All
    others are for ``allowed`` to say. Raises :class:`~celeriac.errors.InputError`.
    """
    found = _Resolver(names, directory, allowed).value(dict(values))
    assert isinstance(found, dict)
    return found


class _Resolver:
    def __init__(self, names: Collection[str], directory: Path, allowed: Allowed) -> None:
        self._directory = directory
        self._allowed = allowed
        self._files = set(names)
        self._folders = {str(above) for name in names for above in PurePosixPath(name).parents if str(above) != "."}

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if not isinstance(value, dict):
            return value
        wrong = [key for key in value if key in DIRECTIVES or key == _TOOL]
        if wrong:
            raise InputError(f"the job has {wrong[0]!r}, which is not taken from outside")
        made = {key: self.value(part) for key, part in value.items()}
        if value.get("class") in ("File", "Directory"):
            self._place(made)
        return made

    def _place(self, item: dict[str, Any]) -> None:
        for key in ("location", "path"):
            given = item.get(key)
            if given is None:
                continue
            if not isinstance(given, str) or not given or "\0" in given:
                raise InputError(f"the {key} of a {item['class']} is {given!r}: a path or URL was expected")
        given = item.get("location") or item.get("path")
        if given is None or given.startswith("_:"):
            return
        item.pop("path", None)
        item["location"] = self._location(given, item["class"])

    def _location(self, given: str, kind: str) -> str:
        try:
            url = urllib.parse.urlsplit(given)
        except ValueError as error:
            raise InputError(f"the {kind} {given!r:.200} is neither a path nor a URL: {error}") from error
        if url.scheme == "file" or (not url.scheme and given.startswith("/")):
            path = urllib.parse.unquote(url.path) if url.scheme else given
            if url.netloc not in ("", "localhost") or "\0" in path:
                raise InputError(f"{given} is on another host: attach the file, or name one of this host's")
            mine = self._named(PurePosixPath(path), kind)
            if mine is not None:
                return self._uri(mine)
            self._allowed(path)
            return "file://" + urllib.parse.quote(path)
        if url.scheme:
            self._allowed(given)
            return given
        return self._uri(self._relative(given, kind))

    def _relative(self, given: str, kind: str) -> str:
        known = self._files if kind == "File" else self._folders
        for text in (given, urllib.parse.unquote(given)):
            clean = "/".join(part for part in text.split("/") if part not in ("", "."))
            if clean in known:
                return clean
        raise InputError(f"the {kind} {given!r} is not among the attachments", hint="attach it under this very name")

    def _named(self, path: PurePosixPath, kind: str) -> str | None:
        """Return the attachment whose name shares the longest end with a path of the client's."""
        known = self._files if kind == "File" else self._folders
        shared = {name: _shared(PurePosixPath(name).parts, path.parts) for name in known}
        most = max(shared.values(), default=0)
        best = [name for name, number in shared.items() if number == most]
        if not most:
            return None
        if len(best) > 1:
            some = " and ".join(sorted(best)[:2])
            raise InputError(
                f"the {kind} {path} may be any of the attachments {some}", hint="name it as it is attached"
            )
        return best[0]

    def _uri(self, name: str) -> str:
        return "file://" + urllib.parse.quote(str(self._directory / name))


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Count the parts that two paths have in common at their ends."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def masked(values: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
    """Return a job as it may be shown: without the values of secret inputs."""
    return {name: "(secret)" if name in secret else value for name, value in values.items()}
