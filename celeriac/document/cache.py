"""Loaded documents: in memory by hash, the most recent few, and on disk for the next process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.document.disk import Disk
from celeriac.document.document import Document
from celeriac.document.schemas import SchemaCache
from celeriac.document.snapshot import Snapshot

if TYPE_CHECKING:
    from celeriac.document.outside import Outside


class DocumentCache:
    """Loaded documents by hash; loading is one at a time (cwltool's caches)."""

    def __init__(self, schemas: SchemaCache | None = None, size: int = 16, disk: Disk | None = None) -> None:
        self._schemas = schemas
        self._size = size
        self._disk = disk
        self._lock = threading.Lock()
        self._documents: OrderedDict[str, Document] = OrderedDict()

    @classmethod
    def under(cls, directory: Path) -> DocumentCache:
        """Return one that keeps schemas and documents under a directory."""
        return cls(SchemaCache(directory), disk=Disk(directory / "documents"))

    def load(
        self,
        reference: str,
        overrides: list[Any] | None = None,
        targets: Sequence[str] = (),
        *,
        anew: bool = False,
        outside: Outside | None = None,
    ) -> Document:
        """Load from the source and keep it; ``anew``: even if it was before. Raises as :func:`.load.load`.

        What is loaded for somebody ``outside`` is never what was kept of an operator's documents.
        """
        if outside is not None:
            return self._load_outside(reference, overrides, targets, outside)
        disk = None if overrides or targets else self._disk
        with self._lock:
            found = self._installed(disk.find(reference)) if disk is not None and not anew else None
            if found is None:
                from celeriac.document.load import load

                found = load(reference, overrides, self._schemas, targets)
                if disk is not None:
                    disk.keep(found, reference)
            return self._keep(found)

    def _load_outside(
        self, reference: str, overrides: list[Any] | None, targets: Sequence[str], outside: Outside
    ) -> Document:
        from celeriac.document.load import load

        with self._lock:
            return self._keep(load(reference, overrides, self._schemas, targets, outside))

    def get(self, name: str, body: Callable[[], str]) -> Document:
        """Return the document called ``name``; ``body()`` gives its snapshot's text if it is not here."""
        found = self._documents.get(name)
        if found is not None:
            return found
        with self._lock:
            if name in self._documents:
                return self._documents[name]
            snapshot = Snapshot.from_body(body())
            found = self._installed(self._disk.open(snapshot)) if self._disk is not None else None
            if found is None:
                from celeriac.document.load import load_snapshot

                found = load_snapshot(snapshot, self._schemas)
                if self._disk is not None:
                    self._disk.keep(found)
            return self._keep(found)

    def _installed(self, document: Document | None) -> Document | None:
        """Return a document from the disk; its processes are made later, with the types that all know."""
        if document is not None and self._schemas is not None:
            self._schemas.install()
        return document

    def _keep(self, document: Document) -> Document:
        self._documents[document.hash] = document
        while len(self._documents) > self._size:
            self._documents.popitem(last=False)
        return document
