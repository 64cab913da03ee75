"""Reuse of earlier jobs' outputs: what is asked of whoever knows earlier jobs, and a directory that keeps some.

A cache directory (`--cachedir`) has an entry a key: ``out/`` with the files and ``outputs.json``. It
appears by one rename, and is taken only as long as it is whole.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cwltool.utils import visit_files_directories
from schema_salad.ref_resolver import file_uri

from celeriac.job.digests import Digests
from celeriac.job.key import Key
from celeriac.job.trees import copy_tree
from celeriac.job.whole import broken, directory_parts


@dataclass(frozen=True)
class Found:
    """The outputs of an earlier job."""

    outputs: dict[str, Any]
    origin: str  # in words: "run 4f2a91c0d2e1"
    attempt: str | None = None  # the earlier job's, where the journal knows it
    exit_code: int | None = None
    directory: Path | None = None  # of that attempt: its logs


class Earlier(Protocol):
    """Knows earlier jobs."""

    def __call__(self, key: Key, /) -> tuple[Found | None, str]:
        """Return what an equal job made, if that is whole; and a remark where it is not."""


class Cache:
    """The entries of one cache directory."""

    def __init__(self, directory: Path, digests: Digests) -> None:
        self._directory = directory
        self._digests = digests

    def __call__(self, key: Key) -> tuple[Found | None, str]:
        """Return an entry's outputs; see :class:`Earlier`."""
        entry = self._directory / key.name
        try:
            kept: Any = json.loads((entry / "outputs.json").read_text("utf-8"))
            outputs, directories = kept["outputs"], kept["directories"]
        except (OSError, ValueError, KeyError, TypeError):
            return None, ""
        _rebase(outputs, "celeriac-cache:", file_uri(str(entry / "out")))
        problem = broken(outputs, directories, self._digests)
        if problem:
            return None, f"in the cache directory {problem}"
        return Found(outputs, f"cache directory {self._directory}"), ""

    def keep(self, key: Key, outputs: Mapping[str, Any], out: Path) -> None:
        """Keep a job's outputs; a failure to do so is no failure of the job."""
        self._directory.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".new-", dir=self._directory))
        try:
            real = os.path.realpath(out)
            copy_tree(real, str(waiting / "out"), real + os.sep)
            kept = {"outputs": copy.deepcopy(dict(outputs)), "directories": directory_parts(outputs, self._digests)}
            _rebase(kept, file_uri(str(out)), "celeriac-cache:")
            (waiting / "outputs.json").write_text(json.dumps(kept), "utf-8")
            shutil.rmtree(self._directory / key.name, ignore_errors=True)
            os.rename(waiting, self._directory / key.name)
        except OSError:
            shutil.rmtree(waiting, ignore_errors=True)


def _rebase(outputs: Any, old: str, new: str) -> None:
    def move(item: Any) -> None:
        if item.get("location", "").startswith(old):
            item["location"] = new + item["location"][len(old) :]

    visit_files_directories(outputs, move)
