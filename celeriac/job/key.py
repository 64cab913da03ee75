"""The key of a job: what its outputs follow from, made of named parts. Equal keys, equal outputs.

The parts of a tool's document are ``tool.FIELD`` and ``requirement.CLASS``, those of its inputs ``input.NAME``;
``image`` is the id of its container's image; ``option.NAME`` and ``environment.NAME`` are what the run and
the worker add; ``runtime`` is what the job was granted, where the document asks. docs/reuse.md tells users.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from cwltool.job import JobBase
from cwltool.process import Process

from celeriac.document.binding import bind
from celeriac.job import build as building
from celeriac.job.content import Content
from celeriac.job.request import JobRequest
from celeriac.job.resolved import Resolved, resolved
from celeriac.job.trees import Guard
from celeriac.job.values import named

#: To be raised when keys are made in another way: those that are kept mean nothing then.
FORMAT = 1
#: Hexadecimal digits of a part that are kept: enough to tell that it changed.
SHORT = 16
#: The image of a job that runs as a process.
NO_IMAGE = "none"

_DIGESTS = "celeriac_digests"


@dataclass(frozen=True)
class Key:
    """What makes a job the same as another."""

    name: str  # SHA-256 over the parts
    parts: Mapping[str, str]  # name -> short digest
    fixed: bool = field(default=False, compare=False)  # no file, directory or image is in it: it can't change


def refusal(request: JobRequest) -> str | None:
    """Return why a job's outputs neither come from an earlier one nor serve a later one; None: they may.

    CWL v1.2, WorkReuse. Raises :class:`~celeriac.errors.CeleriacError` where its expression can't be evaluated.
    """
    tool, options = request.tool, request.options
    if not options.reuse:
        return "reuse is off: --no-reuse"
    if options.preserve_entire_environment:
        return "reuse is off: --preserve-entire-environment, which is another one each time"
    if not options.compute_checksum:
        return "reuse is off: --no-compute-checksum leaves nothing to check outputs by"
    inplace: Any = tool.get_requirement("InplaceUpdateRequirement")[0]
    if inplace and inplace.get("inplaceUpdate"):
        return "reuse is off: the tool changes its inputs in place (InplaceUpdateRequirement)"
    wanted: Any = tool.get_requirement("WorkReuse")[0]
    if wanted is not None and not _enabled(wanted.get("enableReuse", True), request):
        return "reuse is off: the document forbids it (WorkReuse)"
    return None


def _enabled(value: Any, request: JobRequest) -> bool:
    if not isinstance(value, str):
        return bool(value)
    made = building.context(request.options, request.place, request.name, request.granted)
    try:
        return bind(request.tool, request.inputs, made).do_eval(value) is True
    except Exception as error:
        raise named(error, f"the WorkReuse of '{request.title}' can't be evaluated") from error


def key(request: JobRequest, image: str | None, guard: Guard | None = None) -> Key:
    """Return a job's key; ``image`` is the id of the image that it runs in, None for a process.

    Raises OSError for an input that can't be read here, and what ``guard`` raises for one that may not be.
    """
    document = resolved(request.tool)
    content = Content(request.digests, request.own, places=document.places, guard=guard)
    values: dict[str, Any] = {"image": image or NO_IMAGE}
    values |= {name: content.of(value) for name, value in document.files.items()}
    for name, default in document.defaults.items():
        value = request.inputs.get(name)
        value = default if value is None else value
        if value is not None:
            values[f"input.{name}"] = content.of(value)
    values |= _surroundings(request, contained=image is not None)
    if document.runtime is not None:
        granted = request.granted.to_json() if request.granted else None
        values["runtime"] = [granted, document.runtime]
    parts = dict(_digests(request.tool, document))
    parts |= {name: digest(value) for name, value in values.items()}
    whole = digest([FORMAT, sorted(parts.items())])
    short = {name: value[:SHORT] for name, value in parts.items()}
    return Key(whole, short, fixed=image is None and not content.read_disk)


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, in one form only."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digests(tool: Process, document: Resolved) -> dict[str, str]:
    """Return the digests of what never changes of a tool; made once and kept with it."""
    found: dict[str, str] | None = vars(tool).get(_DIGESTS)
    if found is None:
        found = vars(tool)[_DIGESTS] = {name: digest(value) for name, value in document.parts.items()}
    return found


def _surroundings(request: JobRequest, *, contained: bool) -> dict[str, Any]:
    """Return what a tool gets from the run's options and from the worker."""
    options = request.options
    names = list(options.preserve_environment)
    found: dict[str, Any] = {}
    if contained:
        found = {
            "option.match_user": options.match_user,
            "option.read_only": options.read_only,
            "option.custom_network": options.custom_network,
        }
    else:
        names.append("PATH")  # it says which programs are run
    # cwltool's own look at the environment; of all of it, where it would warn once more of what is not there
    wanted: Any = SimpleNamespace(
        preserve_entire_environment=bool(options.preserve_environment), preserve_environment=names
    )
    environment = JobBase.extract_environment(wanted, {})
    return found | {f"environment.{name}": environment[name] for name in names if name in environment}
