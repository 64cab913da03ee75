"""Who asks by the old routes: whoever has signed the body, or has a token as for the other routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from celeriac.api import auth, door, service
from celeriac.api.auth import UNNAMED, Caller
from celeriac.api.door import Door
from celeriac.api.errors import HttpError

#: Uses up an order's token in a transaction of the journal; raises a 403 when it was used before.
Use = Callable[[Connection], None]


async def reader(request: Request) -> Caller:
    """Return who reads a list. Where lists are open, one who says nothing is whoever signs without a name.

    The old clients sign what they ask for, but not what they look at.
    """
    if service.of(request).settings.api_open_lists and "authorization" not in request.headers:
        return auth.ANYBODY if not door.of(request).guarded else Caller(UNNAMED, frozenset({"read"}))
    return await door.needs("read")(request)


Reader = Annotated[Caller, Depends(reader)]


async def signer(
    request: Request, scope: str, token: Any, said: dict[str, Any], workflow: str
) -> tuple[Caller, Use | None]:
    """Return who asks for something of a workflow, and what uses up a token in the body that is to be used once.

    The old clients sign exactly what they ask for (``said``); that is a permission in itself. Raises a 403: with the
    words of the old system where something is wrong with what was signed, or nothing was.
    """
    entry = door.of(request)
    if token is None or token == "" or not entry.guarded:
        return await _known(request, scope), None
    with _verifying():
        claims = _claims(entry, token, said, workflow)
        caller = _named(claims)
        await run_in_threadpool(entry.refuse_used, claims)
    if not caller.may(scope):
        raise door.lacking(scope)
    return caller, None if claims.get("jti") is None else partial(_use, entry, claims)


async def _known(request: Request, scope: str) -> Caller:
    """Return who asks, by the header; the old clients know no 401."""
    try:
        return await door.needs(scope)(request)
    except HttpError as error:
        if error.status != 401:
            raise
        raise _unverified(error.message) from error


def _claims(entry: Door, token: Any, said: dict[str, Any], workflow: str) -> dict[str, Any]:
    if not isinstance(token, str) or entry.rules is None:
        raise HttpError(403, "no signed bodies are taken here")
    claims = auth.claims(token, entry.rules)
    # one that names no run would be good for any number of them, and so would the token of another service be
    named = "run_id" in claims or "workflow_data" in claims
    if not named or not auth.tells(claims, said, workflow):
        raise HttpError(403, "the token's claims are not what is asked for")
    return claims


def _named(claims: dict[str, Any]) -> Caller:
    if "scope" not in claims:
        name = auth.caller(claims).name if "sub" in claims else UNNAMED
        return Caller(name, frozenset({"read", "submit", "cancel"}))
    return auth.caller(claims) if "sub" in claims else Caller(UNNAMED, auth.scopes(claims["scope"]))


def _use(entry: Door, claims: dict[str, Any], connection: Connection) -> None:
    with _verifying():
        entry.use_once(connection, claims)


@contextmanager
def _verifying() -> Iterator[None]:
    """Whatever is wrong with what was signed is told in the words of the old system."""
    try:
        yield
    except HttpError as error:
        raise _unverified(error.message) from error


def _unverified(why: str) -> HttpError:
    return HttpError(403, f"Failed to verify data: {why}")
