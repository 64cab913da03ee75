"""Documents that were loaded and validated, kept on disk for the next process (decision 13).

A *source* entry tells, for a path, of which files the document there is made. Their texts, as they are now,
are its snapshot, and the snapshot's hash is the name of a *document* entry: what has changed since, in any of
the files, has another name. An entry is JSON after a line with its SHA-256; one that is not this user's own,
is damaged, or was written by other versions is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celeriac.document import complaints, kept, own_files
from celeriac.document.document import Document
from celeriac.document.graph_json import SHAPE
from celeriac.document.snapshot import Snapshot
from celeriac.document.values import dumps, loads
from celeriac.document.versions import libraries, own

log = logging.getLogger(__name__)

#: To be counted up when entries of the same shape get another meaning.
FORMAT = 1
#: Entries that are kept, and their bytes; the oldest go first.
MOST = 400
MOST_BYTES = 256 * 2**20


class Disk:
    """The entries under a directory. Safe with other processes; nothing here raises."""

    def __init__(self, directory: Path, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._directory = directory
        self._most = most
        self._most_bytes = most_bytes

    def find(self, reference: str) -> Document | None:
        """Return the document at a path, if it and all that it is made of is as it was."""
        place = _place(reference)
        source = self._read("source", place) if place else None
        if source is None:
            return None
        snapshot = _snapshot(source)
        return None if snapshot is None else self.open(snapshot)

    def open(self, snapshot: Snapshot) -> Document | None:
        """Return the document of a snapshot."""
        data = self._read("document", snapshot.hash)
        if data is None:
            return None
        try:
            return kept.from_json(data, snapshot)
        except Exception as error:
            log.debug("the kept document %s is ignored: %r", snapshot.hash, error)
            return None

    def keep(self, document: Document, reference: str | None = None) -> None:
        """Keep a document that was loaded, and that it is at a path: nothing if it can't come back the same."""
        snapshot = document.snapshot
        if not document.faultless or snapshot.overrides or snapshot.targets:
            return
        if any("$schemas" in text for text in snapshot.texts.values()):  # ontologies, which are no JSON
            return
        try:
            self._write("document", snapshot.hash, kept.to_json(document))
            place = _place(reference) if reference else None
            if place and all(_is_local(uri) for uri in (snapshot.uri, *snapshot.texts, *snapshot.exists)):
                source = {"uri": snapshot.uri, "texts": list(snapshot.texts), "exists": snapshot.exists}
                self._write("source", place, source)
            self._prune()
        except Exception as error:
            log.debug("the document %s is not kept: %r", snapshot.uri, error)

    def _read(self, kind: str, name: str) -> Any:
        path = self._path(kind, name)
        if not own_files.is_mine(path):
            return None
        try:
            digest, _, body = path.read_bytes().partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != digest:
                raise ValueError("it is damaged")
            os.utime(path)
            return loads(body)
        except Exception as error:
            log.debug("%s is ignored: %r", path, error)
            return None

    def _write(self, kind: str, name: str, data: dict[str, Any]) -> None:
        body = dumps(data).encode()
        if loads(body) != data:
            raise kept.CannotKeep
        own_files.write(self._path(kind, name), hashlib.sha256(body).hexdigest().encode() + b"\n" + body)

    def _path(self, kind: str, name: str) -> Path:
        versions = [FORMAT, SHAPE, own(), libraries(), complaints.are_heard()]
        key = json.dumps([kind, name, versions])
        return self._directory / f"{kind}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}.json"

    def _prune(self) -> None:
        entries = sorted(((one.stat(), one.path) for one in os.scandir(self._directory)), key=lambda e: -e[0].st_mtime)
        size = 0
        for number, (status, path) in enumerate(entries):
            size += status.st_size
            if number >= self._most or size > self._most_bytes:
                Path(path).unlink(missing_ok=True)


def _place(reference: str) -> str | None:
    """Return the absolute path that a reference names, with its fragment; None if that is not sure."""
    path, hash_, fragment = reference.partition("#")
    if not os.path.isfile(path) or (hash_ and os.path.exists(reference)):
        return None
    return os.path.abspath(path) + hash_ + fragment


def _snapshot(source: Mapping[str, Any]) -> Snapshot | None:
    """Return the snapshot of a source's files as they are now; None if one is not there, or is where none was."""
    try:
        texts = {uri: Path(_path_of(uri)).read_text("utf-8") for uri in source["texts"]}
    except (OSError, UnicodeDecodeError):
        return None
    for uri, was_there in source["exists"].items():
        if uri.startswith("file:") and os.path.exists(_path_of(uri)) != was_there:
            return None
    return Snapshot(uri=source["uri"], texts=texts, exists=source["exists"])


def _is_local(uri: str) -> bool:
    return uri.startswith(("file:", "mailto:"))  # the latter is never looked for


def _path_of(uri: str) -> str:
    return urllib.request.url2pathname(urllib.parse.urlsplit(uri).path)
