"""CWL's own schemas, parsed once and kept on disk.

cwltool parses the schema of each CWL version anew in every process: 0.3 s each, most of what a short
run takes. The parsed form is pickled under the cache directory, named by the versions of cwltool
and schema-salad, and put where cwltool looks (``process.SCHEMA_CACHE``). A file that is not this
user's own, or can't be read back, is ignored and written anew.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cwltool import process
from cwltool.update import INTERNAL_VERSION
from schema_salad.ref_resolver import Loader

log = logging.getLogger(__name__)

#: The last is the version that cwltool brings documents to: it loads the tools of a workflow as that.
VERSIONS = ("v1.0", "v1.1", "v1.2", INTERNAL_VERSION)
#: The entries of the metaschema that cwltool looks up (``Process.__init__``).
_USED = (
    "https://w3id.org/cwl/salad#Any",
    "https://w3id.org/cwl/cwl#File",
    "https://w3id.org/cwl/cwl#Directory",
)


class SchemaCache:
    """Parsed schemas under a directory that only this user can write (they are pickles)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: set[str] | None = None

    def install(self) -> None:
        """Give cwltool what earlier processes parsed. Once; cheap when there is nothing."""
        if self._known is not None:
            return
        self._known = set()
        for name in VERSIONS:
            path = self._path(name)
            if name in process.SCHEMA_CACHE or not _is_mine(path):
                continue
            try:
                process.SCHEMA_CACHE[name] = _unpack(pickle.loads(path.read_bytes()))
                self._known.add(name)
            except Exception as error:
                log.debug("schema cache %s ignored: %s", path, error)

    def save(self) -> None:
        """Keep what this process parsed."""
        known = self._known if self._known is not None else set()
        for name in set(process.SCHEMA_CACHE).intersection(VERSIONS) - known:
            known.add(name)
            try:
                self._write(self._path(name), pickle.dumps(_pack(process.SCHEMA_CACHE[name]), protocol=5))
            except Exception as error:
                log.debug("schema %s can't be kept: %s", name, error)

    def _path(self, name: str) -> Path:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        key = f"{name}-{version('cwltool')}-{version('schema-salad')}-{python}"
        return self._directory / f"schema-{key}.pickle"

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)


def _pack(schema: Any) -> dict[str, Any]:
    loader, names, metadata, metaloader = schema
    if isinstance(names, Exception):
        raise names
    used = {key: metaloader.idx[key] for key in _USED}
    return {"ctx": loader.ctx, "cache": loader.cache, "names": names, "metadata": metadata, "used": used}


def _unpack(data: dict[str, Any]) -> Any:
    loader = Loader(data["ctx"], cache=data["cache"])
    return loader, data["names"], data["metadata"], SimpleNamespace(idx=data["used"])


def _is_mine(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
