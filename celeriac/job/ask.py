"""What a job asks for: CWL's ResourceRequirement, evaluated on the job's real inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celeriac.document.binding import bind
from celeriac.graph.model import Process
from celeriac.job import build as building
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.values import named
from celeriac.resources import Resources


def ask(graph: Process, tool: Any, inputs: dict[str, Any], options: RunOptions, name: str) -> Resources:
    """Return what one job asks for; ``tool()`` gives cwltool's process, needed for expressions only."""
    fixed = static(graph)
    if fixed is not None:
        return fixed
    try:
        made = building.context(options, Place(Path("/var/empty")), "ask")
        resources = bind(tool(), inputs, made).resources
    except Exception as error:
        raise named(error, f"the resources of '{name}' can't be evaluated") from error
    gpus = int(resources.get("cudaDeviceCount", 0))
    return Resources(cpus=float(resources["cores"]), ram=int(resources["ram"]), gpus=gpus)


def static(graph: Process) -> Resources | None:
    """Return what a process asks for when that can be told without inputs, else None."""
    wanted = dict(graph.resources or {})
    values = [wanted.get(key) for key in ("coresMin", "coresMax", "ramMin", "ramMax", "tmpdirMin", "outdirMin")]
    if graph.cuda or any(isinstance(value, str) for value in values):
        return None
    default = 1024 if graph.cwl_version == "v1.0" else 256
    cores = wanted.get("coresMin") or wanted.get("coresMax") or 1
    ram = wanted.get("ramMin") or wanted.get("ramMax") or default
    return Resources(cpus=float(cores), ram=int(-(-ram // 1)))
