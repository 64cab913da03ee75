"""What a document or job that came from outside may reach. Pure: who acts on it looks at the disk and the network.

None, in place of an :class:`Access`, is an operator's own run: nothing is refused there. docs/security.md tells
where each rule is enforced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote, urlsplit

from celeriac.errors import AccessError
from celeriac.settings import Settings

#: How much of what was asked for is told again.
_SHOWN = 200
#: A reference with a scheme, such as ``http:``.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: A name of an image as engines take it: registry, path, tag and digest.
_IMAGE = re.compile(
    r"(?:(?P<registry>localhost(?::\d+)?|[a-z0-9-]+(?:\.[a-z0-9-]+)*:\d+|[a-z0-9-]+(?:\.[a-z0-9-]+)+)/)?"
    r"(?P<path>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Access:
    """What runs from outside may reach; the default is nothing."""

    roots: tuple[str, ...] = ()  # directories that documents and inputs may come from
    hosts: tuple[str, ...] = ()  # patterns of hosts that http(s) may go to: "data.org", "*.data.org", "data.org:8080"
    private: bool = False  # addresses of this host, its networks and its cloud's metadata, too
    images: tuple[str, ...] = ()  # patterns of images that tools may run in
    processes: bool = False  # a tool without a container may run
    network: bool = False  # a tool may ask for NetworkAccess
    scatter: int = 10_000  # items of one scatter, at most
    download: int = 2**30  # bytes of one input that comes over http(s), at most
    outputs: tuple[str, ...] = ()  # directories that outputs may go to, beside the run's own
    hidden: tuple[str, ...] = ()  # directories that are not meant by a root around them: the home

    @classmethod
    def of(cls, settings: Settings, extra_roots: Iterable[str | os.PathLike[str]] = ()) -> Access:
        """Return what the settings allow, and ``extra_roots``, which are read only.

        A directory counts as it is written and, should it be a link, as where that leads.
        """
        outputs = _both_ways(_words(settings.api_roots, os.pathsep))
        return cls(
            roots=tuple(dict.fromkeys([*outputs, *_both_ways(str(os.fspath(root)) for root in extra_roots)])),
            outputs=tuple(outputs),
            hidden=tuple(_both_ways([str(settings.home)])),
            hosts=tuple(_words(settings.api_hosts.lower())),
            private=settings.api_private_hosts,
            images=tuple(_words(settings.api_images)),
            processes=settings.api_processes,
            network=settings.api_network,
            scatter=settings.api_scatter,
            download=settings.api_download * 2**20,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; see :meth:`from_json`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Access:
        """Rebuild from :meth:`to_json`; unknown keys are ignored."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        return cls(**values)

    def check_host(self, url: str) -> tuple[str, int]:
        """Return the host and port of a URL that may be asked for; raises :class:`~celeriac.errors.AccessError`."""
        host, port, usual = _host(url)
        if not any(_matches_host(pattern, host, port, usual) for pattern in self.hosts):
            raise AccessError(
                f"{shown(url)} is on a host that is not allowed",
                hint=f"allowed are {_listed(self.hosts, 'no hosts')} (CELERIAC_API_HOSTS)",
            )
        return host, port

    def check_image(self, name: str, title: str) -> None:
        """Raise :class:`~celeriac.errors.AccessError` for an image that tools may not run in."""
        parts = _IMAGE.fullmatch(name)
        if parts is None or not any(_matches_image(pattern, parts) for pattern in self.images):
            raise AccessError(
                f"'{title}' asks for the image {shown(name)}, which is not allowed",
                hint=f"allowed are {_listed(self.images, 'no images')} (CELERIAC_API_IMAGES)",
            )

    def check_process(self, title: str) -> None:
        """Raise :class:`~celeriac.errors.AccessError` where a tool without a container may not run."""
        if not self.processes:
            raise AccessError(
                f"'{title}' names no container, and tools without one are not allowed",
                hint="give it a DockerRequirement with an image that is allowed (CELERIAC_API_PROCESSES)",
            )

    def check_network(self, title: str) -> None:
        """Raise :class:`~celeriac.errors.AccessError` where tools get no network."""
        if not self.network:
            raise AccessError(
                f"'{title}' asks for a network (NetworkAccess), which is not allowed",
                hint="take its data as inputs (CELERIAC_API_NETWORK)",
            )

    def check_scatter(self, width: int, title: str) -> None:
        """Raise :class:`~celeriac.errors.AccessError` for a scatter with too many items."""
        if width > self.scatter:
            raise AccessError(
                f"step '{title}' scatters into {width} items, but {self.scatter} are allowed",
                hint="split the run (CELERIAC_API_SCATTER)",
            )


def refused(what: str, roots: Iterable[str]) -> AccessError:
    """Return the error for a path; it is the same whether there is anything at that path."""
    return AccessError(
        f"{shown(what)} is outside of what this run may read or write",
        hint=f"allowed are {_listed(tuple(roots), 'no directories')} (CELERIAC_API_ROOTS) and the run's own files",
    )


def is_allowed(path: str, roots: Iterable[str], hidden: Iterable[str]) -> bool:
    """Whether a root means a path: it lies within, and nothing hidden is between the two, or in the path itself."""
    secret = tuple(hidden)
    return not any(is_within(one, (path,)) for one in secret) and any(
        is_within(path, (root,)) and not any(is_within(one, (root,)) and is_within(path, (one,)) for one in secret)
        for root in roots
    )


def is_within(path: str, roots: Iterable[str]) -> bool:
    """Whether an absolute path as it is written lies in one of the directories, and no ``..`` leaves that between."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return path.startswith("/") and any(_stays(parts, root) for root in roots)


def _stays(parts: list[str], root: str) -> bool:
    above = [part for part in root.split("/") if part]
    if parts[: len(above)] != above:
        return False
    depth = 0
    for part in parts[len(above) :]:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def is_remote(location: str) -> bool:
    """Whether a location is asked for over http(s)."""
    return location[:8].lower().startswith(("http://", "https://"))


def path_of(location: str, basedir: str = "/") -> str | None:
    """Return the path that a location names, absolute; None for what lies on no disk: a literal, a URL.

    There is one way to read each form that passes, so that all who read it mean the same file. Raises
    :class:`~celeriac.errors.AccessError` for others.
    """
    if _CONTROL.search(location):
        raise AccessError(f"{shown(location)} has control characters in it: a path or URL was expected")
    if location.startswith("_:"):
        if "/" in location:
            raise AccessError(f"{shown(location)} is no name of a literal")
        return None
    if is_remote(location):
        return None
    if not _SCHEME.match(location):
        if location.startswith("/"):
            return location
        if basedir.startswith("/"):
            return f"{basedir.rstrip('/')}/{location}"
        raise AccessError(f"{shown(location)} is a relative path, where an absolute one was expected")
    if not location.startswith("file:///") or "?" in location or "#" in location:
        raise AccessError(
            f"{shown(location)} is no location that is taken from outside",
            hint="file:///an/absolute/path, http:// and https:// are",
        )
    path = unquote(urlsplit(location).path)
    if _CONTROL.search(path):
        raise AccessError(f"{shown(location)} has control characters in it: a path or URL was expected")
    return path


def shown(text: str) -> str:
    """Return what was asked for in one line that is not too long."""
    line = _CONTROL.sub("?", text)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _both_ways(directories: Iterable[str]) -> list[str]:
    written = [os.path.abspath(os.path.expanduser(directory)) for directory in directories]
    return list(dict.fromkeys([*written, *map(os.path.realpath, written)]))


def _words(text: str, separator: str = ",") -> list[str]:
    return [word.strip() for word in text.split(separator) if word.strip()]


def _listed(names: tuple[str, ...], none: str) -> str:
    return ", ".join(names) if names else none


def _host(url: str) -> tuple[str, int, int]:
    """Return host, port and the scheme's usual port; raises :class:`~celeriac.errors.AccessError` for odd forms."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError as error:
        raise AccessError(f"{shown(url)} is no URL: {error}") from error
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    form = r"[0-9a-f:.]*:[0-9a-f:.]*" if "[" in parts.netloc else r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
    plain = re.fullmatch(form, host)
    strange = re.search(r"[\x00-\x20\x7f-\U0010ffff\\]", url)
    if usual is None or not plain or strange or _is_odd_number(host) or port == 0:
        raise AccessError(
            f"{shown(url)} is no URL that is taken from outside", hint="http://host/path and https://host/path are"
        )
    if "@" in parts.netloc:
        raise AccessError("a URL with a user's name or password in it is not taken", hint="leave it out")
    return host, port or usual, usual


def _is_odd_number(host: str) -> bool:
    """Whether a host is an IPv4 address in another form than four decimal numbers: 2130706433, 0x7f.1, 0177.0.0.1."""
    last = host.rpartition(".")[2]
    if not re.fullmatch(r"\d+|0x[0-9a-f]*", last):
        return False
    return not re.fullmatch(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}", host)


def _matches_host(pattern: str, host: str, port: int, usual: int) -> bool:
    name, colon, number = pattern.rpartition(":") if re.search(r":(\d+|\*)$", pattern) else (pattern, "", "")
    if not fnmatchcase(host, name.strip("[]") if ":" in host else name):
        return False
    return number in ("*", str(port)) if colon else port == usual


def _matches_image(pattern: str, parts: re.Match[str]) -> bool:
    """Compare registry and path, then tag, then digest.

    A pattern without a tag and digest means all of them. An engine that gets a tag and a digest looks at the digest
    alone: so a pattern with a tag means no image with a digest.
    """
    rest, at, digest = pattern.partition("@")
    name, colon, tag = rest.rpartition(":") if ":" in rest.rpartition("/")[2] else (rest, "", "")
    if not fnmatchcase(_full(parts["registry"], parts["path"]), _full_pattern(name)):
        return False
    if at:
        return parts["digest"] is not None and fnmatchcase(parts["digest"], digest)
    if colon:
        return parts["digest"] is None and fnmatchcase(parts["tag"] or "latest", tag)
    return True


def _full(registry: str | None, path: str) -> str:
    """Return a name whole. One without a registry is of the engine's own choice, and equal to none that has one."""
    if registry is not None:
        return f"{registry}/{path}"
    return f"/{path}" if "/" in path else f"/library/{path}"


def _full_pattern(name: str) -> str:
    first, slash, rest = name.partition("/")
    if name == "*":
        return name
    if slash and re.search(r"[.:]|^localhost$", first):
        return _full(first, rest)
    return _full(None, name)
