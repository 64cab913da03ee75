"""The slots of this host: what its workers' steps take from one budget, waiting for their turn."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from celeriac.errors import CeleriacError, HostTooSmall
from celeriac.resources import Budget, Resources
from celeriac.slots import Slot
from queues.budget import fits, has, shared
from queues.forking import follow
from queues.ledger import Busy, Ledger
from queues.part import Part, after
from queues.remains import Remains, see_to
from queues.turns import Entry, turn

log = logging.getLogger(__name__)

#: Seconds between two looks at whether another process has changed the ledger.
POLL = 0.05
#: Seconds between two looks for dead processes, while something waits.
TEND = 0.5
#: Seconds after which one that waits tells the others that it still does.
_REFRESH = 5.0
#: Seconds after which what could not be given back is tried again.
_LATER = 1.0


class HostSlots:
    """The slots of one host (:class:`celeriac.slots.Slots`), shared through a ledger in ``directory``.

    ``budget`` is all that may be taken. ``worker`` names the worker that this process is of, and
    ``cap`` is how many steps of it may run at once (``-c``). Without ``enforce`` (``--oversubscribe``)
    nothing waits for the budget: what is taken is in the ledger for others to count, and the GPUs
    that the fewest lease are leased once more where none is free.

    What a dead process had is not free at once, since its containers may still run. ``clear`` ends
    what is left of an attempt and tells whether nothing is; it is called while something waits. What
    it does not clear is free ``lease`` seconds after the process was first seen dead.

    A process has its own part from the first time it takes something, in a forked child too; ``guard``
    is called then, and sees to it that its death will be noticed. Nothing is opened before. Raises
    :class:`~celeriac.errors.SettingsError` for a directory that is not to be trusted,
    :class:`~celeriac.errors.UnavailableError` for a ledger that can't be used.
    """

    def __init__(
        self,
        directory: Path,
        budget: Budget,
        *,
        worker: str = "",
        cap: int | None = None,
        enforce: bool = True,
        clear: Callable[[str], bool] | None = None,
        lease: float = 60.0,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._budget = budget
        self._worker = worker
        self._cap = cap
        self._enforce = enforce
        self._remains = Remains(clear, lease)
        self._part = Part(directory, guard)
        self._reset()
        follow(self)

    def _reset(self) -> None:
        self._lock = threading.Condition()  # of all that follows; notified when something may have come free
        self._held: dict[str, Entry] = {}  # what this process has taken
        self._owed: set[str] = set()  # what it gave back while the ledger could not be used
        self._changes = 0  # a number for what the ledger says; what waits looks again when it is another
        self._tend_at = 0.0

    def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
        """Take ``wanted`` for the attempt ``name``; wait for its turn, and ask ``still`` some 20 times a second.

        A name stands for one attempt: taken again by this process it is the same slot. Raises
        :class:`~celeriac.errors.HostTooSmall`.
        """
        self._check(name, wanted)
        waiting = False
        try:
            slot, changes = self._try(name, wanted, waiting)
            if slot is None:
                waiting = True
                log.info("%s waits for its turn: it needs %s, and %s", name, wanted, has(self._budget))
            while slot is None and still():
                self._tend()
                if self._wait(changes):
                    slot, changes = self._try(name, wanted, waiting)
            return slot
        finally:
            if waiting:
                self._withdraw(name)

    def give_back(self, name: str) -> None:
        """Give back what ``name`` took in this process; nothing where it took nothing."""
        with self._lock:
            if self._held.pop(name, None) is not None:
                self._drop(name)

    def close(self) -> None:
        """Give all back and close all files. What takes after that opens them again."""
        with self._lock:
            self._held.clear()
            self._owed.clear()
            self._part.close()
            self._change()

    # --- taking -----------------------------------------------------------------------------------

    def _check(self, name: str, wanted: Resources) -> None:
        what = fits if self._enforce else shared
        if what(self._budget, (), wanted) is None:
            raise HostTooSmall(
                f"{name} needs {wanted}, but {has(self._budget)} for all its steps together",
                hint="Run a worker of its queue on a larger host, or lower the queue's limits in the queue file. "
                "CELERIAC_HOST_CPUS, CELERIAC_HOST_RAM and CELERIAC_HOST_GPUS say how much of a host may be used.",
                name=name,
                wanted=str(wanted),
                budget=str(self._budget),
            )

    def _try(self, name: str, wanted: Resources, waiting: bool) -> tuple[Slot | None, int]:
        """Take it if it is its turn, else queue up. Returns also the state of things that this saw."""
        with self._lock:
            changes = self._changes
            if name not in self._held:
                try:
                    entry = self._write(name, wanted, waiting)
                except Busy as error:
                    log.warning("%s waits: %s", name, error)
                    return None, changes
                if entry is None or not entry.taken:
                    return None, changes
                self._held[name] = entry
            return Slot(self._held[name].gpus), changes

    def _write(self, name: str, wanted: Resources, waiting: bool) -> Entry | None:
        """Bring the ledger up to date about a name; returns its entry if that is new."""
        ledger, token = self._open()
        if waiting and self._next(token, ledger.entries(), name, wanted) is None:
            return None  # looking on costs the others nothing
        with ledger.begin():
            for owed in self._owed:  # above all this name
                ledger.remove(token, owed)
            entry = self._next(token, ledger.entries(), name, wanted)
            if entry is not None:
                ledger.write(entry)
        self._owed.clear()
        return entry

    def _next(self, token: str, entries: list[Entry], name: str, wanted: Resources) -> Entry | None:
        """Return the entry that is to be written for a name; None if nothing has changed."""
        mine = next((entry for entry in entries if entry.owner == token and entry.name == name), None)
        if mine is not None and mine.taken:
            return mine
        now = _boottime()
        me = mine or Entry(
            number=after(entries),
            owner=token,
            name=name,
            wanted=wanted,
            worker=self._worker,
            cap=self._cap,
            budget=self._budget if self._enforce else None,
            since=time.time(),
        )
        ids = turn(me, entries, self._budget, now)
        if ids is not None:
            return replace(me, taken=True, gpus=ids, since=time.time(), cap=None, budget=None)
        return replace(me, looked=now) if mine is None or mine.looked + _REFRESH < now else None

    def _withdraw(self, name: str) -> None:
        with self._lock:
            if name not in self._held:
                self._drop(name)

    def _drop(self, name: str) -> None:
        try:
            ledger, token = self._open()
            ledger.remove(token, name)
        except CeleriacError as error:
            log.warning("what %s had is given back later: %s", name, error)
            self._owed.add(name)
            self._pay_later()
        self._change()

    def _pay_later(self) -> None:
        timer = threading.Timer(_LATER, self._pay)
        timer.daemon = True
        timer.start()

    def _pay(self) -> None:
        with self._lock:
            for name in list(self._owed):
                self._owed.discard(name)
                self._drop(name)

    def _open(self) -> tuple[Ledger, str]:
        return self._part.open(self._held.values())

    # --- waiting ----------------------------------------------------------------------------------

    def _wait(self, changes: int) -> bool:
        """Wait a little; tells whether the ledger says something else than it did."""
        with self._lock:
            if self._changes == changes:
                self._lock.wait(POLL)
            if self._changes == changes and self._part.has_changed():
                self._change()
            return self._changes != changes

    def _change(self) -> None:
        self._changes += 1
        self._lock.notify_all()

    def _tend(self) -> None:
        """See to what dead processes had, now and then: one thread for all that wait in this process."""
        with self._lock:
            now = _boottime()
            if now < self._tend_at:
                return
            self._tend_at = now + TEND
            try:
                ledger, token = self._open()
                leftovers = see_to(ledger, self._directory, token, self._remains, now)
            except Busy:
                return
            self._change()
        for entry in leftovers:  # without the lock: it may take long
            if self._remains.is_cleared(entry.name):
                with self._lock, contextlib.suppress(Busy):  # it is asked again soon
                    self._open()[0].remove(entry.owner, entry.name)
                    self._change()

    # --- forks ------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Hold all threads still, and close the ledger."""
        # No thread may be in the middle of something, and SQLite must not be open: in the child it would
        # believe that it has the locks which are the parent's.
        self._lock.acquire()
        self._part.disconnect()

    def in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def in_child(self) -> None:
        """Begin anew: what the parent has is not this process's."""
        self._part.leave()
        self._reset()


def _boottime() -> float:
    """Return the seconds since this host booted, its sleep counted too: the same for all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
