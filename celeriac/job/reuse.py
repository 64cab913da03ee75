"""Reuse of results within a cache directory (`--cachedir`): the same tool on the same content runs once.

An entry is a directory named by the key: ``out/`` with the files and ``outputs.json``. It appears by
one rename, and is taken only if every file that it names is there with the recorded size. CWL v1.2,
WorkReuse: a tool may forbid it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cwltool.process import Process
from cwltool.stdfsaccess import StdFsAccess
from cwltool.utils import get_listing, visit_files, visit_files_directories
from schema_salad.ref_resolver import file_uri, uri_file_path

from celeriac.job.options import RunOptions
from celeriac.job.trees import copy_tree

#: Requirements that don't change what a tool computes.
_IRRELEVANT = frozenset({"ResourceRequirement", "WorkReuse", "ToolTimeLimit"})


class Cache:
    """The entries of one cache directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, key: str) -> dict[str, Any] | None:
        """Return an entry's outputs, or None."""
        entry = self._directory / key
        try:
            outputs: dict[str, Any] = json.loads((entry / "outputs.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        _rebase(outputs, "celeriac-cache:", file_uri(str(entry / "out")))
        return outputs if _is_whole(outputs) else None

    def keep(self, key: str, outputs: Mapping[str, Any], out: Path) -> None:
        """Keep a job's outputs; a failure to do so is no failure of the job."""
        self._directory.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".new-", dir=self._directory))
        try:
            real = os.path.realpath(out)
            copy_tree(real, str(waiting / "out"), real + os.sep)
            kept = copy.deepcopy(dict(outputs))
            _rebase(kept, file_uri(str(out)), "celeriac-cache:")
            (waiting / "outputs.json").write_text(json.dumps(kept), "utf-8")
            shutil.rmtree(self._directory / key, ignore_errors=True)
            os.rename(waiting, self._directory / key)
        except OSError:
            shutil.rmtree(waiting, ignore_errors=True)


def allowed(tool: Process, options: RunOptions) -> bool:
    """Whether the tool's result may come from the cache directory."""
    if not options.cachedir or tool.tool["class"] != "CommandLineTool":
        return False
    found: Any = tool.get_requirement("WorkReuse")[0]
    enabled = True if found is None else found.get("enableReuse", True)
    inplace: Any = tool.get_requirement("InplaceUpdateRequirement")[0]
    return enabled is True and not (inplace and inplace.get("inplaceUpdate"))


def key(tool: Process, inputs: Mapping[str, Any], options: RunOptions) -> str:
    """Return the name of a job's entry: what the tool is, and what it gets, by content."""
    requirements: list[Any] = [r for r in (*tool.hints, *tool.requirements) if str(r["class"]) not in _IRRELEVANT]
    wanted = {
        "tool": _without_places(json.loads(json.dumps(tool.tool, default=str))),
        "requirements": _without_places(json.loads(json.dumps(requirements, default=str))),
        "inputs": _by_content(copy.deepcopy(dict(inputs))),
        "container": options.use_container,
        "default": options.default_container,
    }
    return hashlib.sha256(json.dumps(wanted, sort_keys=True, default=str).encode()).hexdigest()


def _without_places(value: Any) -> Any:
    """Drop identifiers and line numbers: they say where a document lies, not what it does."""
    if isinstance(value, dict):
        return {k: _without_places(v) for k, v in value.items() if k not in ("id", "name", "lc")}
    if isinstance(value, list):
        return [_without_places(part) for part in value]
    return value


def _by_content(inputs: dict[str, Any]) -> dict[str, Any]:
    files = StdFsAccess("")
    get_listing(files, inputs, recursive=True)

    def describe(item: Any) -> None:
        location = item.pop("location", "")
        for field in ("path", "dirname", "size"):
            item.pop(field, None)
        if item["class"] == "File" and "contents" not in item:
            item["checksum"] = _digest(location)

    visit_files_directories(inputs, describe)
    return inputs


def _digest(location: str) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    path = uri_file_path(location) if location.startswith("file:") else location
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return f"sha1${digest.hexdigest()}"


def _rebase(outputs: Any, old: str, new: str) -> None:
    def move(item: Any) -> None:
        if item.get("location", "").startswith(old):
            item["location"] = new + item["location"][len(old) :]

    visit_files_directories(outputs, move)


def _is_whole(outputs: Any) -> bool:
    missing = []

    def check(file: Any) -> None:
        location = file.get("location", "")
        if location.startswith("file:"):
            path = uri_file_path(location)
            if not os.path.isfile(path) or os.path.getsize(path) != file.get("size", os.path.getsize(path)):
                missing.append(location)

    visit_files(outputs, check)
    return not missing
