"""Who asks by the old routes: whoever has signed the body, or has a token as for the other routes."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from celeriac.api import auth, door
from celeriac.api.auth import Caller
from celeriac.api.errors import HttpError

#: Who has signed a body, but does not say who it is.
UNNAMED = "unnamed"


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
