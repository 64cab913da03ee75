"""Every error over HTTP is ``{"msg", "status_code"}``, as WES has it, and tells nothing of this host's directories."""

from __future__ import annotations

import logging
import os
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from celeriac.errors import (
    CeleriacError,
    ExpressionError,
    JournalUnavailable,
    NotFoundError,
    UnavailableError,
    UserError,
)

log = logging.getLogger(__name__)

#: Characters of a message that are sent.
LONGEST = 4000


class HttpError(CeleriacError):
    """A request that is answered with an error of its own."""

    def __init__(self, status: int, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


def body(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error (WES: ErrorResponse). Airflow's clients look for ``error``."""
    return {"msg": message[:LONGEST], "status_code": status, "error": message[:LONGEST]}


def answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error as a response."""
    return JSONResponse(body(status, message), status, headers=dict(headers or {}))


def status_of(error: CeleriacError) -> int:
    """Return the status that says whose fault an error is."""
    if isinstance(error, HttpError):
        return error.status
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, UnavailableError):
        return 503
    return 400 if isinstance(error, (UserError, ExpressionError)) else 500


def shown(error: CeleriacError, places: Mapping[str, str] | None = None) -> str:
    """Return an error's message for a caller; ``places`` are directories and their names for callers."""
    if isinstance(error, JournalUnavailable):
        return "the journal does not answer: try again later"  # its message has the database's address
    return without(str(error), places or {})


def without(text: str, places: Mapping[str, str]) -> str:
    """Return a text without the paths of directories: what is below one is named from there."""
    names = {form: name for directory, name in places.items() for form in _forms(directory)}
    if not names:
        return text
    # the longest first, and all in one pass: a name may be part of a path, and a path of another
    forms = "|".join(re.escape(form) for form in sorted(names, key=len, reverse=True))
    found = re.compile(rf"(?<![\w./-])({forms})(/|(?![\w-]|\.\w))")
    return found.sub(lambda match: "" if match[2] else f"({names[match[1]]})", text)


def _forms(directory: str) -> list[str]:
    real = os.path.realpath(directory)
    found = [f"file://{urllib.parse.quote(path)}" for path in (directory, real)]
    found += [directory, real]
    relative = os.path.relpath(real)  # as schema-salad names files
    return found + ([relative] if len(relative) > 2 else [])


def install(app: FastAPI, routers: Sequence[APIRouter], places: Mapping[str, str]) -> None:
    """Have the app, which has these routers, answer all errors so; ``places`` as :func:`shown` has it."""

    @app.exception_handler(HTTPException)
    async def of_framework(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(routers, request))
        return answer(error.status_code, str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(400, "; ".join(_sentence(entry) for entry in error.errors()[:5]))

    @app.exception_handler(CeleriacError)
    async def of_ours(request: Request, error: CeleriacError) -> JSONResponse:
        status = status_of(error)
        if status >= 500:
            log.warning("%s %s: %s", request.method, _printable(request.url.path), error)
        headers = error.headers if isinstance(error, HttpError) else {}
        return answer(status, shown(error, places), headers)

    @app.exception_handler(Exception)
    async def of_bugs(request: Request, error: Exception) -> JSONResponse:
        return answer(500, "an internal error: the server's log says more")


def _methods(routers: Sequence[APIRouter], request: Request) -> list[str]:
    """Return the methods that a path knows: its routes are one a method, and the framework tells of the first."""
    found: set[str] = set()
    for router in routers:
        for route in router.routes:
            if route.matches(request.scope)[0] is not Match.NONE:
                found |= getattr(route, "methods", None) or set()
    return sorted(found or {"GET"})


def _sentence(entry: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in entry.get("loc", ()) if part not in ("query", "path", "body"))
    return f"{place}: {entry.get('msg', 'is not right')}"


def _printable(text: str) -> str:
    """Return a text that can't break a log's line."""
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
