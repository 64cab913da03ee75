"""Who asks by the old routes: whoever has signed the body, or has a token as for the other routes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from celeriac.api import auth, door, service
from celeriac.api.auth import Caller
from celeriac.api.errors import HttpError

#: Who has signed a body, but does not say who it is.
UNNAMED = "unnamed"


async def reader(request: Request) -> Caller:
    """Return who reads a list. Where lists are open, one who says nothing is whoever signs without a name.

    The old clients sign what they ask for, but not what they look at.
    """
    if service.of(request).settings.api_open_lists and "authorization" not in request.headers:
        return auth.ANYBODY if not door.of(request).guarded else Caller(UNNAMED, frozenset({"read"}))
    return await door.needs("read")(request)


Reader = Annotated[Caller, Depends(reader)]


async def signer(request: Request, scope: str, token: Any, said: dict[str, Any]) -> tuple[Caller, dict[str, Any]]:
    """Return who asks for something, and the claims of a token in the body.

    The old clients sign exactly what they ask for (``said``); that is a permission in itself. Raises a 401 or 403.
    """
    entry = door.of(request)
    if token is None or token == "" or not entry.guarded:
        return await door.needs(scope)(request), {}
    if not isinstance(token, str) or entry.rules is None:
        raise _unverified()
    claims = auth.claims(token, entry.rules)
    if not auth.tells(claims, said):
        raise _unverified()
    named = auth.caller({"sub": UNNAMED, **claims})
    if "scope" not in claims:
        named = Caller(named.name, frozenset({"read", "submit", "cancel"}))
    if not named.may(scope):
        raise HttpError(403, f"this needs the scope '{scope}', which the token has not")
    return named, claims


def _unverified() -> HttpError:
    return HttpError(403, "Failed to verify data")
