"""Read a request for a run: a form with attachments (multipart), or JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from celeriac.api import uploads
from celeriac.api.errors import HttpError
from celeriac.api.uploads import Attachment
from celeriac.api.wes.request import FIELDS, RunRequest, from_form, from_json, parse
from celeriac.errors import InputError

#: Bytes of a part that is no file, and of a file that is a field.
LONGEST = 16 << 20
ATTACHMENT = "workflow_attachment"


class Parser(MultiPartParser):
    """Keeps little of each file in memory: there may be many."""

    spool_max_size = 64 << 10


@asynccontextmanager
async def read(request: Request, most: int) -> AsyncIterator[tuple[RunRequest, list[Attachment]]]:
    """Yield what is asked for, and its attachments, ``most`` at most: they are closed at the end of the block."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        yield from_json(parse("the body", await text_of(request))), []
        return
    if kind != "multipart/form-data":
        raise HttpError(400, "the body is no form: multipart/form-data was expected, or application/json")
    parser = Parser(
        request.headers, request.stream(), max_files=most + len(FIELDS), max_fields=len(FIELDS), max_part_size=LONGEST
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HttpError(400, f"the form can't be read: {error.message}") from error
    try:
        yield await _parts(form, most)
    finally:
        await form.close()


async def text_of(request: Request) -> str:
    """Return a body that is one text; raises a 413 for a long one, and InputError for one that is none."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST:
            raise HttpError(413, f"the body has more than {LONGEST} bytes")
    return _decoded("the body", bytes(body))


async def _parts(form: FormData, most: int) -> tuple[RunRequest, list[Attachment]]:
    texts: dict[str, str] = {}
    attachments = []
    for name, value in form.multi_items():
        if name == ATTACHMENT:
            if not isinstance(value, UploadFile):
                raise InputError(f"{ATTACHMENT} has no filename, but each needs one")
            attachments.append(Attachment(uploads.clean(value.filename), value.file))
            continue
        if name in texts:
            raise InputError(f"there are two fields {name!r:.100}")
        texts[name] = await _field(name, value)
    if len(attachments) > most:
        raise HttpError(413, f"there are {len(attachments)} attachments: {most} at most were expected")
    return from_form(texts), attachments


async def _field(name: str, value: UploadFile | str) -> str:
    """Return a field's text: it may come as a file."""
    if isinstance(value, str):
        return value
    found = await value.read(LONGEST + 1)
    if len(found) > LONGEST:
        raise HttpError(413, f"{name:.100} has more than {LONGEST} bytes")
    return _decoded(name, found)


def _decoded(name: str, body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name:.100} is no text in UTF-8") from error
