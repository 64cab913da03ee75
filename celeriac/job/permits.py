"""What tools of runs from outside may be: which images, with a network or not, and nothing that widens a container."""

from __future__ import annotations

import os
from typing import Any

from cwltool.job import JobBase
from cwltool.pathmapper import PathMapper
from cwltool.utils import HasReqsHints

from celeriac.access import Access, is_within, shown
from celeriac.container.base import Image
from celeriac.errors import AccessError
from celeriac.job.command import image_of
from celeriac.job.fence import Fence
from celeriac.job.options import RunOptions
from celeriac.job.place import Place

_VERSION = "http://commonwl.org/cwltool#original_cwlVersion"
#: How an image may be had otherwise than from a registry: each runs or reads what no pattern of images tells of.
_OTHER_WAYS = ("dockerFile", "dockerLoad", "dockerImport")
#: Where an output directory in a container would take the place of what the engine puts there.
_SYSTEM = ("/proc", "/sys", "/dev", "/etc")


def check_tool(tool: Any, options: RunOptions, access: Access, title: str) -> None:
    """Check what can be told of a tool before it runs; raises :class:`~celeriac.errors.AccessError`."""
    image = image_of(tool, options)
    _check_image(image, access, title)
    requirement: Any = tool.get_requirement("DockerRequirement")[0] or {}
    for way in _OTHER_WAYS:
        if requirement.get(way) is not None:
            raise AccessError(
                f"'{title}' has its image made by {way}, which is not allowed", hint="take dockerPull with an image"
            )
    inside = requirement.get("dockerOutputDirectory")
    if inside is not None and (os.path.normpath(inside) != inside or inside == "/" or is_within(inside, _SYSTEM)):
        raise AccessError(f"'{title}' can't have {shown(str(inside))} as its dockerOutputDirectory")
    network: Any = tool.get_requirement("NetworkAccess")[0]
    if network is not None and network.get("networkAccess") is True and not _is_old(tool):
        access.check_network(title)


def _check_image(image: Image | None, access: Access, title: str) -> None:
    if image is None:
        access.check_process(title)
        return
    for name in filter(None, dict.fromkeys((image.name, image.pull))):
        access.check_image(name, title)


def check_job(job: JobBase, image: Image | None, fence: Fence, title: str) -> None:
    """Check a job that is built, before it is staged; raises :class:`~celeriac.errors.AccessError`.

    Expressions have had their say by now.
    """
    _check_image(image, fence.access, title)
    if job.networkaccess and _is_old(job.builder):
        job.networkaccess = fence.access.network
    if job.networkaccess:
        fence.access.check_network(title)
    if job.stdin is not None and not job.pathmapper.reversemap(job.stdin):
        fence.path(str(job.stdin))


def check_staged(job: JobBase, literals: PathMapper | None, place: Place, fence: Fence) -> None:
    """Check what is to be copied or changed, and where the tool's output goes."""
    for mapper in filter(None, (job.pathmapper, literals)):
        for _, entry in mapper.items():
            if not str(entry.type).startswith("Writable") or entry.resolved.startswith("_:"):
                continue
            if job.inplace_update:
                fence.changes(entry.resolved)
            elif entry.type == "WritableDirectory":
                fence.tree(entry.resolved)
    for name in (job.stdout, job.stderr):
        if name and not is_within(os.path.realpath(place.out / name), (os.path.realpath(place.out),)):
            raise AccessError(f"the file {shown(name)} for what the tool prints is no file of its output directory")


def _is_old(holder: HasReqsHints) -> bool:
    """Whether a tool is of CWL v1.0, where each has a network and none says so: without leave it runs without."""
    return getattr(holder, "metadata", {}).get(_VERSION) == "v1.0" or getattr(holder, "cwlVersion", "") == "v1.0"
