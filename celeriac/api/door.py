"""Who asks, at the door of each route: a caller with the scope that the route needs, or 401 and 403."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from celeriac.api import auth
from celeriac.api.auth import Caller, TokenRules
from celeriac.api.errors import HttpError
from celeriac.journal import callers
from celeriac.journal.database import Database

#: How callers may say who they are (RFC 9110, 11.6.1).
CHALLENGE = 'Bearer realm="celeriac", Basic realm="celeriac", charset="UTF-8"'
#: Till when a token without an end of its own is remembered: for good.
FOR_GOOD = 1e11


class Door:
    """Finds out who asks. ``guarded``: everybody has to say so; else nobody has, and all is allowed."""

    def __init__(self, database: Database, rules: TokenRules | None, guarded: bool) -> None:
        self._database = database
        self.rules = rules
        self.guarded = guarded

    async def caller(self, request: Request) -> Caller | None:
        """Return who asks; None when nothing was said. Raises a 403 when what was said is wrong."""
        if not self.guarded:
            return auth.ANYBODY
        token = auth.credentials(request.headers.get("authorization"))
        if token is None:
            return None
        if auth.is_key(token):
            return await run_in_threadpool(self._of_key, token)
        if self.rules is None:
            raise auth.refused("no such key, and no other tokens are taken here")
        return auth.caller(auth.claims(token, self.rules))

    def _of_key(self, token: str) -> Caller:
        wanted = auth.digest(token)
        with self._database.read() as connection:
            row = callers.key(connection, wanted)
        if row is None or not auth.same(row.digest, wanted):
            raise auth.refused("no such key")
        return Caller(row.name, auth.scopes(row.scopes))

    def use_once(self, claims: dict[str, Any]) -> None:
        """Have a token that names itself (``jti``) be of no more use; raises a 403 when it was used before."""
        name = claims.get("jti")
        if name is None:
            return
        with self._database.begin() as connection:
            new = callers.use_token(connection, auth.digest(str(name)), float(claims.get("exp") or FOR_GOOD))
        if not new:
            raise auth.refused("it was used before")


def of(request: Request) -> Door:
    """Return the app's door."""
    door: Door = request.app.state.door
    return door


def needs(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """Return a dependency: the caller, who has that scope."""

    async def known(request: Request) -> Caller:
        found = await of(request).caller(request)
        if found is None:
            raise unknown()
        if not found.may(scope):
            raise HttpError(403, f"this needs the scope '{scope}', which the token has not")
        return found

    return known


def unknown() -> HttpError:
    """Return the error for a caller who did not say who it is."""
    return HttpError(
        401,
        "this needs a token: send it as `Authorization: Bearer TOKEN`, or as the password of Basic authentication",
        headers={"WWW-Authenticate": CHALLENGE},
    )


Reader = Annotated[Caller, Depends(needs("read"))]
Submitter = Annotated[Caller, Depends(needs("submit"))]
Canceler = Annotated[Caller, Depends(needs("cancel"))]
