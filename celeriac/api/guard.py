"""Counts and times what goes through one request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

from celeriac.api.errors import HttpError
from celeriac.api.room import Room

T = TypeVar("T")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Refused(HttpError):
    """A request that is not read to its end."""


class TooSlow(Refused):
    """A client let the server wait."""

    def __init__(self) -> None:
        super().__init__(408, "the request took too long")


class TooLarge(Refused):
    """A body has more than ``most`` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"the request has more than {most} bytes")


class NoRoom(Refused):
    """Others need the memory that a body takes."""

    def __init__(self) -> None:
        super().__init__(503, "there are too many large requests just now: try again later")


@dataclass(frozen=True)
class Terms:
    """How a body may come."""

    most: int  # bytes
    patience: float  # seconds for each piece, and for all of it beside what ``slowest`` gives
    slowest: int  # bytes a second that it has to come with in the long run
    room: Room | None  # that holds it; None: it is not held in memory


class Guard:
    """One request. What it was refused for is remembered, whatever the application makes of the exception."""

    def __init__(self, receive: Receive, send: Send, terms: Terms) -> None:
        self._receive = receive
        self._send = send
        self._terms = terms
        self._begun = time.monotonic()
        self._size = 0
        self._whole = False
        self._limits: set[asyncio.Timeout] = set()  # of the client just now
        self.refusal: Refused | None = None
        self.answered = False

    @property
    def waits(self) -> bool:
        """Whether it waits for its client."""
        return bool(self._limits)

    def let_go(self) -> None:
        """Refuse it for want of memory, also where it waits just now."""
        self.refusal = NoRoom()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(0)  # which is long ago

    async def receive(self) -> Message:
        """Receive a piece of the body; after its end, wait for the client's leaving as long as that takes."""
        if self._whole:
            return await self._receive()
        terms = self._terms
        left = self._begun + terms.patience + self._size / terms.slowest - time.monotonic()
        if self.refusal is None and left <= 0:
            self.refusal = TooSlow()
        if self.refusal is not None:
            raise self.refusal
        message = await self._wait(self._receive, min(terms.patience, left))
        self._count(len(message.get("body", b"")))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a piece of the application's answer. What it says to a request that was refused is left out."""
        if self.refusal is None:
            await self.say(message)
        elif self.answered:  # what has begun can't be taken back
            raise self.refusal

    async def say(self, message: Message) -> None:
        """Send a piece of an answer."""
        self.answered = True
        await self._wait(lambda: self._send(message), self._terms.patience)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._terms.most:
            self.refusal = TooLarge(self._terms.most)
        elif self._terms.room is not None:
            self._terms.room.add(self, size)
        if self.refusal is not None:
            raise self.refusal

    async def _wait(self, what: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Wait for the client; raises what the request is refused with when it takes too long, or is let go."""
        limit = asyncio.timeout(seconds)
        self._limits.add(limit)
        try:
            async with limit:
                return await what()
        except TimeoutError as error:
            self.refusal = self.refusal or TooSlow()
            raise self.refusal from error
        finally:
            self._limits.discard(limit)
