"""What one request may cost, and where it may come from: an ASGI middleware, before anything is read."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from celeriac.api.errors import HttpError, answer
from celeriac.api.guard import Guard, Receive, Send, Terms, TooLarge
from celeriac.api.room import Room

App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What is left of the request is not read: the connection can't be used again.
_LAST = {"Connection": "close"}
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_FORM = "multipart/form-data"

#: Bytes of a body that is held in memory, whose sender is often not known before it is read. The longest are those
#: that are signed: what they say is in them twice, the second time in a token and a third longer. So this is enough
#: for a document of the largest size that is taken (4 MiB) when it is packed, or for a job of 3 MiB.
HELD = 8 << 20
#: Bytes of all of them together.
HELD_BY_ALL = 256 << 20
#: Bytes a second that a body has to come with in the long run: one that goes to disk, and one that is held in memory.
#: The latter is half a megabit, a slow but honest line. With the seconds that each has beside that, the longest body
#: is held for less than three minutes while it comes.
SLOWEST = 1 << 10
SLOWEST_HELD = 64 << 10


class Bounds:
    """Refuses bodies of more than ``most`` bytes, and clients that take ``patience`` seconds for a piece of one.

    ``forms`` are the methods and paths that write the files of a form to disk. All other bodies are held in memory,
    whatever they say that they are.

    Where nobody has to say who it is (``open_to_all``), a page in a browser on the same host could ask in its user's
    stead: such requests are refused by their ``Host`` and ``Origin``.
    """

    def __init__(
        self, app: App, most: int, patience: float, open_to_all: bool, forms: Collection[tuple[str, str]] = ()
    ) -> None:
        self._app = app
        self._open = open_to_all
        self._forms = forms
        self._room = Room(HELD_BY_ALL)
        self._form = Terms(most, patience, SLOWEST, None)
        self._other = Terms(min(most, HELD), patience, SLOWEST_HELD, self._room)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)  # has the first of several, as the application does
        terms = self._terms(scope, headers)
        guard = Guard(receive, send, terms)
        if self._open and not is_own(headers.get("host"), headers.get("origin")):
            refusal = answer(403, "without authentication, requests are taken from this host's own programs only")
            return await refusal(scope, receive, guard.say)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > terms.most:
            guard.refusal = TooLarge(terms.most)
        else:
            await self._ask(scope, guard)
        if guard.refusal is not None and not guard.answered:
            await _answer(guard.refusal)(scope, receive, guard.say)

    def _terms(self, scope: MutableMapping[str, Any], headers: Headers) -> Terms:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        form = kind == _FORM and (scope["method"], scope["path"]) in self._forms
        return self._form if form else self._other

    async def _ask(self, scope: MutableMapping[str, Any], guard: Guard) -> None:
        """Have the application answer. What it makes of a refusal counts for nothing: frameworks call it a 400."""
        try:
            await self._app(scope, guard.receive, guard.send)
        except Exception as error:
            if guard.refusal is None:
                raise
            if guard.answered:
                raise ConnectionAbortedError("the client takes nothing") from error
        finally:
            self._room.remove(guard)


def forms(routers: Iterable[APIRouter]) -> frozenset[tuple[str, str]]:
    """Return the methods and paths of the routes that read a form by themselves, and so describe it by themselves."""
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return frozenset((method, route.path) for route in found if _reads_form(route) for method in route.methods or ())


def _reads_form(route: APIRoute) -> bool:
    return _FORM in (route.openapi_extra or {}).get("requestBody", {}).get("content", {})


def _answer(error: HttpError) -> JSONResponse:
    return answer(error.status, error.message, _LAST)


def is_own(host: str | None, origin: str | None) -> bool:
    """Whether a request names this very host by its loopback, and comes from no other page than its own. Pure."""
    named = _name(f"//{host}") if host else None
    if named not in _LOCAL:
        return False
    return origin is None or (_name(origin) in _LOCAL and urllib.parse.urlsplit(origin).netloc == host)


def _name(url: str) -> str | None:
    try:
        return urllib.parse.urlsplit(url).hostname
    except ValueError:
        return None
