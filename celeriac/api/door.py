"""Who asks, at the door of each route: a caller with the scope that the route needs, or 401 and 403."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Connection
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
_USED = "it was used before"


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
        found = auth.claims(token, self.rules)
        if auth.is_order(found):  # it has been sent where others may have read it, and lets in for what it asks alone
            raise auth.refused("it signs an order, and is good for that alone")
        return auth.caller(found)

    def _of_key(self, token: str) -> Caller:
        wanted = auth.digest(token)
        with self._database.read() as connection:
            row = callers.key(connection, wanted)
        if row is None or not auth.same(row.digest, wanted):
            raise auth.refused("no such key")
        return Caller(row.name, auth.scopes(row.scopes))

    def refuse_used(self, claims: dict[str, Any]) -> None:
        """Raise a 403 for a token that names itself (``jti``) and was used before."""
        name = claims.get("jti")
        if name is None:
            return
        with self._database.read() as connection:
            used = callers.is_used(connection, auth.digest(str(name)))
        if used:
            raise auth.refused(_USED)

    def use_once(self, connection: Connection, claims: dict[str, Any]) -> None:
        """Have a token that names itself be of no more use; raises a 403 when it was used before.

        Whatever else is done in this transaction is done once: of two requests with a token one waits, and is refused.
        """
        name = claims["jti"]
        if not callers.use_token(connection, auth.digest(str(name)), float(claims.get("exp") or FOR_GOOD)):
            raise auth.refused(_USED)


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
            raise lacking(scope)
        return found

    return known


def lacking(scope: str) -> HttpError:
    """Return the error for a caller without a scope."""
    return HttpError(403, f"this needs the scope '{scope}', which the token has not")


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
