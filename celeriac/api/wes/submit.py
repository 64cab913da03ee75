"""From a request for a run to a run in the journal. What is wrong with it is said, and nothing of it is left."""

from __future__ import annotations

import logging
import secrets
import urllib.parse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from celeriac.access import Access, is_remote
from celeriac.api import params, uploads
from celeriac.api.auth import Caller
from celeriac.api.errors import HttpError, shown, status_of
from celeriac.api.service import Service
from celeriac.api.uploads import Attachment
from celeriac.api.wes.options import options
from celeriac.api.wes.request import RunRequest
from celeriac.engine.submit import Origin, Submission, check, submit
from celeriac.errors import BrokerUnavailable, CeleriacError, InputError
from celeriac.graph.secrets import secret_inputs
from celeriac.job.fence import Fence
from celeriac.journal import runs

log = logging.getLogger(__name__)


def run(service: Service, caller: Caller, request: RunRequest, attachments: Sequence[Attachment]) -> str:
    """Submit a run and return its id: it is in the journal then. Loads a document, so it takes a while.

    Raises a :class:`~celeriac.errors.CeleriacError` whose message is fit for the caller.
    """
    uploads.distinct([attachment.name for attachment in attachments])
    name = secrets.token_hex(6)
    directory = service.uploads(name)
    try:
        if attachments:
            uploads.store(attachments, directory)
        submission = _check(service, request, [attachment.name for attachment in attachments], name)
        shown_params = params.masked(request.params, secret_inputs(submission.document.graph))
        origin = Origin(caller.name, request=request.to_json(shown_params))
        written, messages = submit(service.engine, submission, run=name, origin=origin)
        if not messages:
            raise CeleriacError("the run's id is taken", hint="ask again")
    except CeleriacError as error:
        uploads.remove(directory)
        places = {str(directory): "the attachments", **service.places}
        raise HttpError(status_of(error), shown(error, places)) from error
    except BaseException:
        with service.engine.database.read() as connection:
            known = runs.short(connection, name) is not None
        if not known:
            uploads.remove(directory)
        raise
    send(service, written, messages)
    return written


def send(service: Service, run: str, messages: Sequence[tuple[int, Any]]) -> None:
    """Have a run start; without a broker it stays in the journal till a worker's scan finds it there."""
    try:
        service.engine.send(run, messages)
    except BrokerUnavailable as error:
        log.warning("run %s is written, but %s", run, error.message)


def _check(service: Service, request: RunRequest, names: Collection[str], run: str) -> Submission:
    access = service.access(run)
    directory = service.uploads(run)
    document = reference(request.url, names, directory, service.workflows, access)
    values = params.resolve(request.params, names, directory, allowed(access))
    made = options(request.engine_parameters, service.usual_outside(directory, access))
    return check(service.engine, document, None, made, values)


def reference(url: str, names: Collection[str], directory: Path, workflows: Path | None, access: Access) -> str:
    """Return the path or URL of the document that ``workflow_url`` names.

    An attachment's name, the name of a document in the folder of workflows, or a URL that is allowed. Raises
    :class:`~celeriac.errors.InputError`, :class:`~celeriac.errors.AccessError`.
    """
    path, hash_, fragment = url.partition("#")
    tail = hash_ + fragment
    for text in (path, urllib.parse.unquote(path)):
        clean = "/".join(part for part in text.split("/") if part not in ("", "."))
        if clean in names and not text.startswith("/"):
            return str(directory / clean) + tail
    if is_remote(path):
        access.check_host(path)
        return url
    if path.startswith(("file:", "/")):
        return Fence(access, []).path(_path(path)) + tail
    found = document(workflows, path)
    if found is None:
        raise InputError(
            f"workflow_url is {url!r:.200}, which is neither an attachment nor a workflow of this service",
            hint="attach the document under this very name, or name one by its http(s) URL",
        )
    return str(found) + tail


def _path(given: str) -> str:
    if not given.startswith("file:"):
        return given
    try:
        return urllib.parse.unquote(urllib.parse.urlsplit(given).path)
    except ValueError as error:
        raise InputError(f"workflow_url is {given!r:.200}, which is no URL: {error}") from error


def document(workflows: Path | None, name: str) -> Path | None:
    """Return the document of that name in the folder of workflows; its suffix may be left out."""
    if workflows is None or not name or "/" in name or name.startswith(".") or not name.isprintable():
        return None
    try:
        return next((found for suffix in ("", ".cwl") if (found := workflows / f"{name}{suffix}").is_file()), None)
    except OSError:  # a name that is too long
        return None


def allowed(access: Access) -> params.Allowed:
    """Return what says whether an input may come from a path or a URL."""
    fence = Fence(access, [])

    def say(place: str) -> None:
        if is_remote(place):
            access.check_host(place)
        elif place.startswith("/"):
            fence.path(place)
        else:
            raise InputError(f"{place!r:.200} is no place that inputs are taken from", hint="attach the file")

    return say
