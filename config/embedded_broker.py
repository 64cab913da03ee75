"""The broker of an embedded run: kombu's memory transport, whose consumer wakes up at each message.

Kombu's own looks for messages at an interval, which every step of a run would wait for.
"""

from __future__ import annotations

import threading
import time
from queue import Empty
from typing import Any

from kombu.transport import memory

#: Seconds after which the consumer looks without being woken, at most.
LONGEST = 1.0


class Channel(memory.Channel):  # type: ignore[misc]
    """A channel that tells of each message."""

    #: Something has come. Kombu's queues of this kind are one for all connections of a process, and so is this.
    arrived = threading.Event()

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)  # type: ignore[no-untyped-call]
        self.arrived.set()


class Transport(memory.Transport):  # type: ignore[misc]
    """Has one consumer."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: Any = None, **kwargs: Any) -> None:
        """Deliver a message; raises TimeoutError when there is none for so many seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            Channel.arrived.clear()
            try:
                assert self.cycle is not None
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = LONGEST if until is None else min(LONGEST, until - time.monotonic())
            if left <= 0:
                raise TimeoutError
            Channel.arrived.wait(left)
