"""What one request may cost, and where it may come from: an ASGI middleware, before anything is read."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from celeriac.api.errors import HttpError, answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What is left of the request is not read: the connection can't be used again.
_LAST = {"Connection": "close"}
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Refused(HttpError):
    """A request that is not read to its end."""


class TooSlow(Refused):
    """A client let the server wait."""

    def __init__(self) -> None:
        super().__init__(408, "the request took too long")


class _TooLarge(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(413, f"the request has more than {most} bytes")


#: Bytes of a body that is no form, since it is held in memory; and of all of them together.
HELD = 16 << 20
HELD_BY_ALL = 256 << 20
#: Bytes a second that a body has to come with in the long run.
SLOWEST = 1024


class Bounds:
    """Refuses bodies of more than ``most`` bytes, and clients that take ``patience`` seconds for a piece of one.

    Where nobody has to say who it is (``open_to_all``), a page in a browser on the same host could ask in its user's
    stead: such requests are refused by their ``Host`` and ``Origin``.
    """

    def __init__(self, app: App, most: int, patience: float, open_to_all: bool) -> None:
        self._app = app
        self._most = most
        self._patience = patience
        self._open = open_to_all
        self._held = 0  # bytes of bodies that are no forms

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self._open and not is_own(headers.get(b"host"), headers.get(b"origin")):
            refusal = answer(403, "without authentication, requests are taken from this host's own programs only")
            return await refusal(scope, receive, send)
        form = headers.get(b"content-type", "").lower().startswith("multipart/form-data")
        most = self._most if form else min(self._most, HELD)
        length = headers.get(b"content-length", "")
        if length.isdigit() and int(length) > most:
            return await _answer(_TooLarge(most))(scope, receive, send)
        guard = _Guard(receive, send, most, self._patience, self._nothing if form else self._hold)
        try:
            await self._app(scope, guard.receive, guard.send)
        except Refused as error:
            if guard.answered:
                raise ConnectionAbortedError("the client takes nothing") from error
            await _answer(error)(scope, receive, send)
        finally:
            self._held -= 0 if form else guard.size

    def _nothing(self, size: int) -> None:
        """Hold nothing: a form's files go to disk."""

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > HELD_BY_ALL:
            raise Refused(503, "there are too many large requests just now: try again later")


def _answer(error: HttpError) -> JSONResponse:
    return answer(error.status, error.message, _LAST)


class _Guard:
    """Counts and times what goes through one request."""

    def __init__(self, receive: Receive, send: Send, most: int, patience: float, hold: Callable[[int], None]) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._patience = patience
        self._hold = hold
        self._begun = time.monotonic()
        self._whole = False
        self.size = 0
        self.answered = False

    async def receive(self) -> Message:
        """Receive a piece of the body; after its end, wait for the client's leaving as long as that takes."""
        if self._whole:
            return await self._receive()
        late = self._begun + self._patience + self.size / SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(self._patience, late)))
        except TimeoutError as error:
            raise TooSlow() from error
        size = len(message.get("body", b""))
        self.size += size
        self._hold(size)
        if self.size > self._most:
            raise _TooLarge(self._most)
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a piece of the answer."""
        self.answered = True
        try:
            await asyncio.wait_for(self._send(message), self._patience)
        except TimeoutError as error:
            raise TooSlow() from error


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
