"""The leases of one process: renewed in the background, and the place where a cancel arrives."""

from __future__ import annotations

import itertools
import logging
import math
import mmap
import os
import threading
import time
from typing import TYPE_CHECKING

from celeriac.container.base import CancelToken
from celeriac.journal import leases

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: A worker that can't renew for this part of a lease stops its tools: another may take over soon.
GIVE_UP = 2 / 3
#: Seconds between two looks, at most, at whether what runs is to be handed back.
LOOK = 0.5
#: What the byte says that a worker's processes share.
RUNS, TAKES_NO_MORE, HANDS_BACK = 0, 1, 2
#: Processes, this one included, that can say in a byte of their own whether they run anything.
PROCESSES = 64


class Leases:
    """What this process runs now. Its thread lives while there is anything to watch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._running: dict[str, CancelToken] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        # bytes that all processes forked from this one see
        self._ending = mmap.mmap(-1, 1)
        self._busy = mmap.mmap(-1, PROCESSES)
        self._index = 0
        self._leaving = False  # this process alone hands back
        self._farewell = ""

    def watch(self, attempt: str) -> CancelToken:
        """Start to watch an attempt that was claimed just now."""
        token = CancelToken()
        with self._lock:
            self._running[attempt] = token
            self._busy[self._index] = 1
            if self._thread is None or not self._thread.is_alive() or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._beat, name="celeriac-leases", daemon=True)
                self._thread.start()
        return token

    def release(self, attempt: str) -> None:
        """Stop to watch it."""
        with self._lock:
            self._running.pop(attempt, None)
            self._busy[self._index] = bool(self._running)

    def be(self, index: int) -> None:
        """Be the process of this number (from 1) of those that were forked to run steps."""
        self._index = index % PROCESSES

    @property
    def idle(self) -> bool:
        """Whether nothing runs in this process and in those that were forked to run steps with it."""
        return not any(self._busy)

    @property
    def ending(self) -> bool:
        """Whether this process, or the worker that it is a child of, takes nothing more."""
        return self._leaving or self._ending[0] != RUNS

    @property
    def handing_back(self) -> bool:
        """Whether what runs here is stopped, for another worker to run it."""
        return self._leaving or self._ending[0] == HANDS_BACK

    @property
    def farewell(self) -> str:
        """Why what is handed back was stopped."""
        return self._farewell or f"its worker {self._engine.presence.name or self._engine.owner} ended"

    def gave_back(self, token: CancelToken) -> bool:
        """Whether a tool was stopped to be handed back, not for a reason of its own."""
        return self.handing_back and token.reason == self.farewell

    def take_no_more(self) -> None:
        """Have this process and its children take nothing more; what runs goes on. Safe in a signal handler."""
        self._ending[0] = max(self._ending[0], TAKES_NO_MORE)

    def hand_back(self) -> None:
        """Have this process and its children stop what runs, soon, and hand it back. Safe in a signal handler."""
        self._ending[0] = HANDS_BACK

    def leave(self) -> None:
        """As :meth:`hand_back`, for this process alone."""
        self._leaving = True

    def end(self, reason: str) -> None:
        """Take nothing more, and hand back what runs, now: this process is ending."""
        self._farewell = reason
        self.hand_back()
        self.stop_all(reason)

    def stop_all(self, reason: str) -> None:
        """Stop every tool of this process: it is ending, or can't tell the journal that it lives."""
        with self._lock:
            tokens = list(self._running.values())
        for token in tokens:
            token.cancel(reason)

    def close(self) -> None:
        """Let the thread go, unless something runs still. Who watches after that has another."""
        self._wake.set()

    def _beat(self) -> None:
        settings = self._engine.settings
        looks = math.ceil(settings.cancel_poll / LOOK)  # the journal is asked at each so-many-th
        renewed = time.monotonic()
        idle = False
        for look in itertools.count(1):
            closed = self._wake.wait(settings.cancel_poll / looks)
            with self._lock:
                self._wake.clear()
                running = dict(self._running)
                if not running and (closed or time.monotonic() - renewed > settings.lease):
                    self._thread = None
                    return
            if running and idle:
                renewed = time.monotonic()  # these were claimed just now
            idle = not running
            if self.handing_back:
                self.stop_all(self.farewell)
            if idle or look % looks:
                continue
            try:
                self._ask(running)
                if time.monotonic() - renewed >= settings.heartbeat:
                    self._renew(running)
                    renewed = time.monotonic()
            except Exception as error:  # whatever it is, this thread has to live: it is the tools' only guard
                log.warning("the lease can't be renewed: %s", error)
                if time.monotonic() - renewed > settings.lease * GIVE_UP:
                    self.stop_all("the journal could not be reached for too long")

    def _ask(self, running: dict[str, CancelToken]) -> None:
        with self._engine.database.read() as connection:
            reasons = leases.unwanted(connection, running, self._engine.owner)
        for attempt, reason in reasons.items():
            with self._lock:
                still = attempt in self._running
            if still:
                running[attempt].cancel(reason)

    def _renew(self, running: dict[str, CancelToken]) -> None:
        # by id: what this process claimed and then failed to watch must run out
        with self._engine.database.begin() as connection:
            leases.renew(connection, running, self._engine.owner, self._engine.settings.lease)
