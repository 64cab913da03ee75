"""Bring an image into the engine: pull, load, build or import (CWL DockerRequirement)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import requests
from docker import APIClient
from docker.utils import parse_repository_tag

from celeriac.container.base import Image
from celeriac.container.docker.interrupt import Interrupt

#: Bytes of an archive sent at a time.
PIECE = 2**20
#: Seconds to connect to a server of archives, and between two of its pieces.
DOWNLOAD_TIMEOUT = (10, 60)
#: On a built image: which text it was built from.
DOCKERFILE_LABEL = "celeriac.dockerfile"
#: Lines of a build's log kept for the error.
TAIL = 20


class Readable(Protocol):
    """An archive."""

    def read(self, amount: int, /) -> bytes:
        """Return some bytes; none at the end."""


class FetchFailed(Exception):
    """The engine or a server said why an image can't be had."""


def can_fetch(image: Image) -> bool:
    """Tell whether the image says where it comes from."""
    return bool(image.pull or image.load or image.file or image.import_url)


def advice(image: Image) -> str:
    """Say where to look when the image can't be fetched."""
    if image.file is not None:
        return "correct the text of dockerFile"
    if image.load is not None:
        return f"check dockerLoad: '{image.load}' should be what `docker save` writes"
    if image.import_url is not None:
        return f"check dockerImport: '{image.import_url}' should be an archive of a root file system"
    return f"check dockerPull '{image.pull}' for typing errors; log in (`docker login`) if its registry asks for it"


def fetch(client: APIClient, image: Image, interrupt: Interrupt) -> str:
    """Bring the image into the engine; return the name or the id under which it is there now.

    Raises :class:`FetchFailed`, the SDK's errors and OSError for a file or a server of archives.
    """
    if image.file is not None:
        return _build(client, image, image.file)
    if image.load is not None:
        return _load(client, image.load, interrupt)
    if image.import_url is not None:
        return _import(client, image, image.import_url, interrupt)
    assert image.pull is not None
    return _pull(client, image.pull)


def digest(dockerfile: str) -> str:
    """Return what names a Dockerfile's text."""
    return hashlib.sha256(dockerfile.encode()).hexdigest()


def _pull(client: APIClient, name: str) -> str:
    _last(client.pull(name, stream=True, decode=True))
    return name


def _build(client: APIClient, image: Image, text: str) -> str:
    labels = {DOCKERFILE_LABEL: digest(text)}
    lines = client.build(
        fileobj=io.BytesIO(text.encode()), tag=image.name, rm=True, forcerm=True, decode=True, labels=labels
    )
    built = [line["aux"]["ID"] for line in _checked(lines) if "ID" in (line.get("aux") or {})]
    return str(built[-1]) if built else image.name


def _load(client: APIClient, source: str, interrupt: Interrupt) -> str:
    with _archive(source) as archive:
        lines = list(_checked(client.load_image(_pieces(archive, interrupt))))  # type: ignore[no-untyped-call]
    loaded = [line["stream"].partition(": ")[2].strip() for line in lines if "Loaded" in line.get("stream", "")]
    if not loaded:
        raise FetchFailed(f"'{source}' holds no image")
    return str(loaded[0])


def _import(client: APIClient, image: Image, source: str, interrupt: Interrupt) -> str:
    repository, tag = parse_repository_tag(image.name)
    with _archive(source) as archive:
        client.import_image(_pieces(archive, interrupt), repository=repository, tag=tag, stream_src=True)
    return image.name


def _last(lines: Iterator[dict[str, Any]]) -> None:
    for _ in _checked(lines):
        pass


def _checked(lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the engine's progress; an error in it comes with status 200."""
    log: list[str] = []
    for line in lines:
        if "error" in line:
            raise FetchFailed("\n".join([str(line["error"]).strip(), *log]))
        log = [*log, str(line.get("stream", "")).rstrip()][-TAIL:] if line.get("stream", "").strip() else log
        yield line


@contextmanager
def _archive(source: str) -> Iterator[Readable]:
    """Open a path, a ``file:`` or an ``http(s):`` URL."""
    parts = urlsplit(source)
    if parts.scheme in ("http", "https"):
        with closing(requests.get(source, stream=True, timeout=DOWNLOAD_TIMEOUT)) as answer:
            answer.raise_for_status()
            answer.raw.decode_content = False
            yield answer.raw
        return
    with open(unquote(parts.path) if parts.scheme == "file" else Path(source), "rb") as file:
        yield file


def _pieces(archive: Readable, interrupt: Interrupt) -> Iterator[bytes]:
    while piece := archive.read(PIECE):
        interrupt.check()
        yield piece
