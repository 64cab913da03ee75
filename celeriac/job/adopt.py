"""Outputs of another run become a run's own files: one from outside may reach no other run's directory."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from cwltool.utils import visit_files_directories
from schema_salad.ref_resolver import file_uri

from celeriac.errors import AccessError
from celeriac.job.content import path_of
from celeriac.job.fence import Fence
from celeriac.job.request import JobRequest
from celeriac.job.trees import copy_file, copy_tree


def adopt(outputs: dict[str, Any], request: JobRequest, fence: Fence) -> dict[str, Any]:
    """Return outputs whose files lie within the fence; others are linked or copied below the attempt's directory."""
    found = copy.deepcopy(outputs)
    runs = os.path.realpath(os.path.dirname(request.own)) + os.sep
    known: dict[str, str] = {}

    def take(item: Any) -> None:
        path = path_of(item)
        if path is None:
            return
        if path not in known:
            known[path] = _take(path, request.place.root / "reused" / str(len(known)), runs, fence)
        item["location"] = file_uri(known[path])
        item.pop("path", None)

    visit_files_directories(found, take)
    return found


def _take(path: str, directory: Path, runs: str, fence: Fence) -> str:
    try:
        return fence.path(path)
    except AccessError:
        pass
    directory.mkdir(parents=True, exist_ok=True)
    real, target = os.path.realpath(path), str(directory / os.path.basename(path))
    if os.path.isdir(real):
        copy_tree(real, target, runs)
    elif not os.path.exists(target):
        copy_file(real, target, runs)
    return target
