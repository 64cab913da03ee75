"""The main process forks its children while none of its other threads is in the middle of something.

A fork copies the locks that other threads hold (of caches, of imports, of libraries), and nobody is there in
the child to give them back: its first step would wait for ever. A child is forked whenever one has died, and
that is when the main's threads have something to do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from queues.forking import follow

log = logging.getLogger(__name__)

#: Seconds for which a fork waits: the whole worker waits with it, and a thread may wait for a database.
PATIENCE = 10.0


class Forks:
    """Forks of this process: they wait for the end of what is done within :meth:`none`."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.RLock()  # a thread's own forks don't wait for it
        self._held = False

    def follow(self) -> None:
        """Have forks wait from now on, for as long as this object lives."""
        follow(self)

    @contextmanager
    def none(self) -> Iterator[None]:
        """Do something meanwhile; one thread at a time."""
        with self._lock:
            yield

    def before_fork(self) -> None:
        """Wait for what is done meanwhile."""
        self._held = self._lock.acquire(timeout=self._patience)
        if not self._held:
            log.warning("a process is forked though a thread is at work for more than %g s", self._patience)

    def in_parent(self) -> None:
        """Let other threads go on."""
        if self._held:
            self._lock.release()

    def in_child(self) -> None:
        """Have a lock of its own: nobody gives back the parent's here."""
        self._lock = threading.RLock()
