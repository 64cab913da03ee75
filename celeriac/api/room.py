"""Memory for bodies. When it is full, those that have been coming for longest make room for others."""

from __future__ import annotations

from typing import Protocol


class Body(Protocol):
    """A body that is held in memory."""

    @property
    def waits(self) -> bool:
        """Whether it waits for its client, be it for more of it or for taking an answer."""
        ...

    def let_go(self) -> None:
        """Be held no longer."""
        ...


class Room:
    """Holds ``most`` bytes of bodies, counted as they come: what a client only says that it will send takes nothing.

    Slow clients can't keep others out. Bodies that wait for their clients go for others, the oldest first: whoever
    comes finds room, however many slow ones there are and however little they still send. To push out a body
    that comes at its ease, others would have to bring ``most`` bytes after its first one and before its last. What is
    being worked on is never let go, so where that fills all the room, the newcomer goes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: dict[Body, int] = {}  # the oldest first
        self._held = 0

    def add(self, body: Body, size: int) -> None:
        """Note that more of a body has come; bodies are let go where that is too much, this one at the last."""
        self._sizes[body] = self._sizes.get(body, 0) + size
        self._held += size
        while self._held > self._most:
            oldest = next((other for other in self._sizes if other.waits), body)
            self.remove(oldest)
            oldest.let_go()

    def remove(self, body: Body) -> None:
        """Note that a body is held no more."""
        self._held -= self._sizes.pop(body, 0)
