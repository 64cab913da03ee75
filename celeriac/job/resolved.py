"""What of a tool's document its results follow from: part by part, so that a change has a name.

Left out is where the document lies, what is written for people, and what decides when, where and how long a
tool runs but not what it makes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cwltool.process import Process, shortname

from celeriac.graph.translate import NAMESPACE

#: Fields of a tool that are no part of it, or are told in another way.
_NOT_FIELDS = frozenset({"id", "class", "cwlVersion", "label", "doc", "intent", "requirements", "hints"})
#: Fields of an input or output that are for people; a default counts when it is used.
_NOT_OF_PORTS = frozenset({"label", "doc", "default"})
#: Requirements that don't change what a tool makes. An image counts by its id; a tool that changes its inputs
#: in place is never reused; the others are about workflows, or about how much and how long.
_NOT_REQUIREMENTS = frozenset(
    {
        "DockerRequirement", "InplaceUpdateRequirement", "MultipleInputFeatureRequirement", "ResourceRequirement",
        "ScatterFeatureRequirement", "ShmSize", "StepInputExpressionRequirement", "SubworkflowFeatureRequirement",
        "ToolTimeLimit", "WorkReuse",
    }
)  # fmt: skip
#: How many GPUs; that there are any, and of which kind, does count.
_COUNTS = frozenset({"cudaDeviceCountMin", "cudaDeviceCountMax"})
#: Identifiers, which a loader makes absolute.
_NAMES = frozenset({"id", "name", "type", "items", "symbols"})

_VERSION = "http://commonwl.org/cwltool#original_cwlVersion"
#: $(runtime) but for what is another one for each attempt.
_RUNTIME = re.compile(r"\bruntime\b(?!\s*\.\s*(?:outdir|tmpdir|exitCode)\b)")
_MADE_UP = re.compile("[0-9a-f]{40}")
_LOCATION = re.compile(r"\blocation\b")
_KEPT = "celeriac_resolved"


@dataclass(frozen=True)
class Resolved:
    """A tool as it was loaded."""

    parts: Mapping[str, Any]  # JSON
    files: Mapping[str, Any]  # parts that name files: they count by content, at each job anew
    defaults: Mapping[str, Any]  # of its inputs, by name; None: it has none
    runtime: Any  # its ResourceRequirement, where its expressions mention $(runtime); else None
    places: bool  # its expressions mention a location


def resolved(tool: Process) -> Resolved:
    """Return what a tool is; made once and kept with it."""
    found: Resolved | None = vars(tool).get(_KEPT)
    if found is None:
        found = vars(tool)[_KEPT] = _resolve(tool)
    return found


def _resolve(tool: Process) -> Resolved:
    fields = {name: tool.tool[name] for name in tool.tool if name not in _NOT_FIELDS and not re.search(r"[:$]", name)}
    for name in ("inputs", "outputs"):
        fields[name] = [
            {key: value for key, value in port.items() if key not in _NOT_OF_PORTS} for port in tool.tool[name]
        ]
    made_up = {tool.tool.get(name): f"any {name}" for name in ("stdout", "stderr")}
    parts = {f"tool.{name}": _plain(_renamed(value, made_up), name) for name, value in fields.items()}
    parts["tool.cwlVersion"] = str(tool.metadata.get(_VERSION))
    demands = _in_force(tool)
    requirements = {
        f"requirement.{name}": _plain({key: value for key, value in demand.items() if key not in _COUNTS})
        for name, demand in demands.items()
        if name not in _NOT_REQUIREMENTS
    }
    docker = demands.get("DockerRequirement", {}).get("dockerOutputDirectory")
    if docker is not None:
        requirements["requirement.dockerOutputDirectory"] = docker
    files = {name: value for name, value in requirements.items() if _names_files(value)}
    parts |= {name: value for name, value in requirements.items() if name not in files}
    text = json.dumps([parts, files], default=str)
    asked = demands.get("ResourceRequirement") or {}
    return Resolved(
        parts=parts,
        files=files,
        defaults={shortname(port["id"]): port.get("default") for port in tool.tool["inputs"]},
        runtime=_plain(asked) if _RUNTIME.search(text) else None,
        places=bool(_LOCATION.search(json.dumps(parts, default=str))),
    )


def _in_force(tool: Process) -> dict[str, Mapping[str, Any]]:
    """Return the requirements and hints that hold for a tool, by class without namespace."""
    found: dict[str, Mapping[str, Any]] = {}
    for demand in (*tool.hints, *tool.requirements):  # the nearest comes last, a requirement before a hint
        name = str(demand["class"])
        if not name.startswith(NAMESPACE):
            found[name.rpartition("#")[2]] = demand
    return found


def _plain(value: Any, field: str = "") -> Any:
    """Return a part of a document as JSON, without what tells where the document lies."""
    if isinstance(value, Mapping):
        return {
            str(name): _plain(part, name)
            for name, part in value.items()
            if not (name in ("id", "name") and str(part).startswith("_:"))  # made up at each load
        }
    if isinstance(value, (list, tuple)):
        return [_plain(part, field) for part in value]
    if field in _NAMES and isinstance(value, str) and "#" in value:
        return shortname(value)
    return value


def _renamed(value: Any, made_up: Mapping[Any, str]) -> Any:
    """Replace file names that the loader made of the whole document, since that gives none."""
    if isinstance(value, Mapping):
        return {name: _renamed(part, made_up) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(part, made_up) for part in value]
    return made_up.get(value, value) if isinstance(value, str) and _MADE_UP.fullmatch(value) else value


def _names_files(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("class") in ("File", "Directory") or any(_names_files(part) for part in value.values())
    return isinstance(value, list) and any(_names_files(part) for part in value)
