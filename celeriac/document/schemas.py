"""CWL's own schemas, parsed once and kept on disk.

cwltool parses the schema of each CWL version anew in every process: 0.3 s each, most of what a short
run takes. The parsed form is pickled under the cache directory, named by the versions of cwltool
and schema-salad, and read when cwltool looks for it (``process.SCHEMA_CACHE``). A file that is not this
user's own, or can't be read back, is ignored and written anew.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cwltool import process
from cwltool.update import INTERNAL_VERSION
from schema_salad.ref_resolver import Loader

from celeriac.document import own_files
from celeriac.document.types import Types, install
from celeriac.document.versions import libraries

log = logging.getLogger(__name__)

#: The last is the version that cwltool brings documents to: it loads the tools of a workflow as that.
VERSIONS = ("v1.0", "v1.1", "v1.2", INTERNAL_VERSION)
#: The name under which the types that every process knows are kept.
_TYPES = "types"
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
        """Have cwltool find what earlier processes parsed. Once."""
        if self._known is not None:
            return
        self._known = set()
        process.SCHEMA_CACHE = _Kept(process.SCHEMA_CACHE, lambda name: self._read(name, _unpack))
        types = self._read(_TYPES, lambda data: Types(**data))
        install(types or self._make_types())

    def save(self) -> None:
        """Keep what this process parsed."""
        known = self._known if self._known is not None else set()
        for name in set(process.SCHEMA_CACHE).intersection(VERSIONS) - known:
            known.add(name)
            self._keep(name, lambda name=name: _pack(process.SCHEMA_CACHE[name]))  # type: ignore[misc]

    def _make_types(self) -> Types:
        made = Types.make()
        self._keep(_TYPES, lambda: dict(vars(made)))
        return made

    def _read(self, name: str, unpack: Callable[[Any], Any]) -> Any:
        """Return what was kept under a name, None for nothing."""
        path = self._path(name)
        if not own_files.is_mine(path):
            return None
        try:
            found = unpack(pickle.loads(path.read_bytes()))
        except Exception as error:
            log.debug("schema cache %s ignored: %s", path, error)
            return None
        if self._known is not None:
            self._known.add(name)
        return found

    def _keep(self, name: str, pack: Callable[[], Any]) -> None:
        try:
            own_files.write(self._path(name), pickle.dumps(pack(), protocol=5))
        except Exception as error:
            log.debug("schema %s can't be kept: %s", name, error)

    def _path(self, name: str) -> Path:
        return self._directory / f"schema-{name}-{libraries()}.pickle"


class _Kept(dict[str, Any]):
    """What cwltool has parsed, by version; it looks here before it parses another."""

    def __init__(self, parsed: Mapping[str, Any], read: Callable[[str], Any]) -> None:
        super().__init__(parsed)
        self._read = read

    def __contains__(self, version: object) -> bool:
        if super().__contains__(version):
            return True
        found = self._read(version) if version in VERSIONS else None
        if found is not None:
            self[str(version)] = found
        return found is not None


def _pack(schema: Any) -> dict[str, Any]:
    loader, names, metadata, metaloader = schema
    if isinstance(names, Exception):
        raise names
    used = {key: metaloader.idx[key] for key in _USED}
    return {"ctx": loader.ctx, "cache": loader.cache, "names": names, "metadata": metadata, "used": used}


def _unpack(data: dict[str, Any]) -> Any:
    loader = Loader(data["ctx"], cache=data["cache"])
    return loader, data["names"], data["metadata"], SimpleNamespace(idx=data["used"])
