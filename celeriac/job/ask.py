"""What a job asks for: CWL's ResourceRequirement, evaluated on the job's real inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celeriac.document.binding import bind
from celeriac.errors import PlacementError
from celeriac.graph.model import Process
from celeriac.job import build as building
from celeriac.job.fence import Fence
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.values import named
from celeriac.resources import Ask, Resources

_FIELDS = ("coresMin", "coresMax", "ramMin", "ramMax", "tmpdirMin", "tmpdirMax", "outdirMin", "outdirMax")
#: MiB for temporary and output files where a document says nothing (CWL v1.2, ResourceRequirement).
_DISK = 1024
_DISKS = ("tmpdirMin", "outdirMin")


def ask(
    graph: Process, tool: Any, inputs: dict[str, Any], options: RunOptions, name: str, fence: Fence | None = None
) -> Ask:
    """Return what one job asks for; ``tool()`` gives cwltool's process, needed for expressions only."""
    fixed = static(graph, name)
    if fixed is not None:
        return fixed
    evaluated: dict[str, Any] = {}

    def keep(request: dict[str, Any], context: Any) -> dict[str, Any]:
        evaluated.update(request)
        return {"cores": request["coresMin"], "ram": request["ramMin"], "tmpdirSize": 0, "outdirSize": 0}

    try:
        made = building.context(options, Place(Path("/var/empty")), "ask", fence=fence)
        made.select_resources = keep
        bind(tool(), inputs, made)
    except Exception as error:
        raise named(error, f"the resources of '{name}' can't be evaluated") from error
    return _ask(graph, evaluated, name)


def static(graph: Process, name: str = "") -> Ask | None:
    """Return what a process asks for when that can be told without inputs, else None."""
    if not is_static(graph):
        return None
    wanted = dict(graph.resources or {})
    request: dict[str, Any] = {}
    for key in ("cores", "ram", "tmpdir", "outdir"):
        least, most = wanted.get(f"{key}Min"), wanted.get(f"{key}Max")
        if least or most:
            request |= {f"{key}Min": least or most, f"{key}Max": most or least}
    return _ask(graph, request, name)


def is_static(graph: Process) -> bool:
    """Whether what a process asks for can be told without inputs."""
    wanted = graph.resources or {}
    return not graph.cuda and not any(isinstance(wanted.get(key), str) for key in _FIELDS)


def _ask(graph: Process, request: Mapping[str, Any], name: str) -> Ask:
    """Make an ask of an evaluated request; what it leaves out has CWL's default of the document's version."""
    _check(request, name)
    default = 1024 if graph.cwl_version == "v1.0" else 256
    least = Resources(
        cpus=float(request.get("coresMin") or 1),
        ram=_whole(request.get("ramMin") or default),
        gpus=_whole(request.get("cudaDeviceCountMin") or 0),
    )
    # a most without an end is the queue's, as one that the document leaves out
    cpus, ram = (request[f"{key}Max"] if _says(graph, key) else math.inf for key in ("cores", "ram"))
    return Ask(
        least=least,
        cpus=max(float(cpus), least.cpus) if math.isfinite(cpus) else None,
        ram=max(_whole(ram), least.ram) if math.isfinite(ram) else None,
        tmpdir=_whole(request.get("tmpdirMin") or _DISK),
        outdir=_whole(request.get("outdirMin") or _DISK),
        queue=graph.queue,
        silent=graph.resources is None and not graph.cuda,
    )


def _check(request: Mapping[str, Any], name: str) -> None:
    """Raise :class:`~celeriac.errors.PlacementError` for what an expression computed and no host could give."""
    for field, amount in request.items():
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or math.isnan(amount):
            raise _wrong(name, f"{field} {amount!r}: a number was expected")
        if field in _DISKS and not 0 <= amount < math.inf:
            raise _wrong(name, f"{field} {amount}: a finite number that is not negative was expected")
    for key in ("cores", "ram"):
        least, most = request.get(f"{key}Min", 0), request.get(f"{key}Max", math.inf)
        if most < least:
            raise _wrong(name, f"{key}Min {least} and {key}Max {most}: a most that is not below the least was expected")


def _wrong(name: str, what: str) -> PlacementError:
    return PlacementError(
        f"'{name}' asks for {what}",
        hint="Correct the step's ResourceRequirement, or the expression that computes it.",
        step=name,
    )


def _whole(amount: float) -> int:
    """Round up; what is not finite stays so, for the placement to refuse."""
    return math.ceil(amount) if math.isfinite(amount) else amount  # type: ignore[return-value]


def _says(graph: Process, key: str) -> bool:
    wanted = graph.resources or {}
    return bool(wanted.get(f"{key}Min") or wanted.get(f"{key}Max"))
