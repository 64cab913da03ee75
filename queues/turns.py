"""Whose turn it is: which of those that wait for a host's slots may take them now. Pure.

Steps queue up in the order in which they came. The oldest that waits is reserved for: one that came
later may pass it only where both would fit once all is given back that was there before it. So a step
that wants much is not starved by a stream of small ones, and what it can't use does not lie idle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from celeriac.resources import Budget, Resources
from queues.budget import Taken, fits, shared

#: Seconds after which a waiter that no longer looks, such as a stopped process, is not reserved for.
STALE = 20.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What one step has, or waits for."""

    number: int  # the order of arrival on this host
    owner: str  # the process that takes it
    name: str  # the attempt
    wanted: Resources
    worker: str = ""  # processes of one worker share this
    cap: int | None = None  # while it waits: the steps that its worker may run at once; None: no limit
    budget: Budget | None = None  # while it waits: what it has to fit into; None: it does not wait for that
    gpus: tuple[str, ...] = ()  # ids
    taken: bool = False  # False: it waits
    since: float = 0.0  # when it came or took: seconds since the epoch, for people
    looked: float = 0.0  # when it last looked whether it is its turn: seconds since boot
    dead: float | None = None  # when its process was first seen dead: seconds since boot
    cleared: float | None = None  # when somebody last began to end its leftovers: seconds since boot

    def pair(self) -> Taken:
        """Return what it takes from a budget."""
        return self.wanted, self.gpus


def turn(me: Entry, entries: Sequence[Entry], here: Budget, now: float) -> tuple[str, ...] | None:
    """Return the GPUs to lease if it is the turn of ``me``, which waits; None if it has to wait on.

    ``entries`` is all that the ledger has, with ``me`` or without; ``here`` has the ids of the GPUs
    for one that never waits for the host: it gets those that are leased least.
    """
    taken = [entry for entry in entries if entry.taken]
    if _capped(me, taken):
        return None
    if me.budget is None:
        return shared(here, _pairs(taken), me.wanted)
    ids = fits(me.budget, _pairs(taken), me.wanted)
    if ids is None:
        return None
    first = _first(me, entries, taken, now)
    if first is None or first.budget is None:
        return ids
    passed = [entry.pair() for entry in taken if entry.number > first.number]
    beside = fits(first.budget, [*passed, (me.wanted, ids)], first.wanted)
    return ids if beside is not None else None


def _first(me: Entry, entries: Iterable[Entry], taken: Sequence[Entry], now: float) -> Entry | None:
    """Return the oldest that the host keeps waiting and that came before ``me``."""
    waiting = [
        entry
        for entry in entries
        if not entry.taken
        and entry.number < me.number
        and entry.budget is not None
        and entry.dead is None
        and entry.looked + STALE > now
        and not _capped(entry, taken)
    ]
    return min(waiting, key=lambda entry: entry.number, default=None)


def _capped(entry: Entry, taken: Iterable[Entry]) -> bool:
    if entry.cap is None:
        return False
    return sum(other.worker == entry.worker for other in taken) >= entry.cap


def _pairs(entries: Iterable[Entry]) -> list[Taken]:
    return [entry.pair() for entry in entries]
