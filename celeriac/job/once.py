"""Do a job once: take the outputs of an equal job that was done before and is whole, else run the tool."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from celeriac.errors import AccessError
from celeriac.job.adopt import adopt
from celeriac.job.fence import Fence
from celeriac.job.key import Key, key, refusal
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.job.request import JobRequest
from celeriac.job.reuse import Cache, Earlier, Found
from celeriac.job.whole import directory_parts
from celeriac.states import Outcome

log = logging.getLogger(__name__)


def once(
    request: JobRequest, image: Callable[[], str | None], run: Callable[[], JobReport], fence: Fence | None = None
) -> JobReport:
    """Return an earlier job's outputs, or the report of ``run()`` with the key that it is found by later.

    ``image()`` gives the id of the image that the tool runs in: "" where nobody can tell, None for a process.
    Raises what it raises.
    """
    remark = refusal(request)
    if remark:
        return replace(run(), parts={"": remark})
    own, remark = _key(request, image(), fence)
    if own is None:
        return replace(run(), parts={"": remark})
    cache = Cache(Path(request.options.cachedir), request.digests) if request.options.cachedir else None
    found, remark = _find(own, [place for place in (cache, request.earlier) if place is not None])
    if found is not None:
        log.info("'%s' was done before (%s): its outputs are reused", request.title, found.origin)
        _take_logs(found, request.place)
        return JobReport(
            Outcome.SUCCESS,
            found.outputs if fence is None else adopt(found.outputs, request, fence),
            exit_code=found.exit_code,
            key=own.name,
            parts=own.parts,
            reused=found.attempt,
        )
    if remark:
        log.info("'%s' was done before, but %s: it is run again", request.title, remark)
    report = _named(run(), request, own, image, remark, fence)
    if cache is not None and report.key is not None and report.outputs is not None:
        cache.keep(own, report.outputs, request.place.out)
    return report


def _key(request: JobRequest, image: str | None, fence: Fence | None) -> tuple[Key | None, str]:
    if image == "":
        return None, "the container engine tells no id of its image"
    try:
        return key(request, image, fence.entry if fence is not None else None), ""
    except AccessError:
        return None, "a link among its inputs leads out of what it may read"
    except OSError as error:
        return None, f"{error.filename} can't be read: {error.strerror}"


def _find(own: Key, places: Sequence[Earlier]) -> tuple[Found | None, str]:
    remarks = []
    for ask in places:
        found, remark = ask(own)
        if found is not None:
            return found, ""
        remarks += [remark] if remark else []
    return None, "; ".join(remarks)


def _named(
    report: JobReport,
    request: JobRequest,
    own: Key,
    image: Callable[[], str | None],
    remark: str,
    fence: Fence | None,
) -> JobReport:
    """Return a report with its key, if it has one: what it was made of is still the same now."""
    parts = {**own.parts, "": remark} if remark else dict(own.parts)
    if report.outcome is not Outcome.SUCCESS or report.outputs is None:
        return replace(report, parts=parts)
    if not own.fixed and _key(request, image(), fence)[0] != own:
        log.info("an input of '%s' was changed while it ran: its outputs are not reused", request.title)
        return replace(report, parts={"": "an input or the image was changed while the tool ran"})
    try:
        parts |= directory_parts(report.outputs, request.digests, fence.entry if fence is not None else None)
    except (OSError, AccessError) as error:
        log.info("the outputs of '%s' are not reused: %s", request.title, error)
        return replace(report, parts=parts)
    return replace(report, key=own.name, parts=parts)


def _take_logs(found: Found, place: Place) -> None:
    """Show what the tool printed when it did run."""
    if found.directory is None:
        return
    old = Place(found.directory)
    try:
        place.root.mkdir(parents=True, exist_ok=True)
        for source, target in ((old.stdout, place.stdout), (old.stderr, place.stderr)):
            if source.exists():
                _link(source, target)
    except OSError as error:
        log.debug("the logs in %s can't be taken: %s", found.directory, error)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
