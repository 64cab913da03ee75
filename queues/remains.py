"""What dead processes leave in the ledger, and when it is free."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from queues import owners
from queues.ledger import Ledger
from queues.turns import Entry

log = logging.getLogger(__name__)

#: Seconds after which leftovers that were not cleared are tried again.
AGAIN = 5.0


@dataclass(frozen=True)
class Remains:
    """How what is left of a dead process's attempts is dealt with."""

    clear: Callable[[str], bool] | None  # ends what is left of an attempt; True: nothing is
    lease: float  # seconds after which a slot is free whatever is left

    def is_cleared(self, name: str) -> bool:
        """End what is left of an attempt; tells whether nothing is. It may take long."""
        try:
            cleared = self.clear is not None and self.clear(name)
        except Exception as error:  # the caller's own: the slot is free after the lease
            log.warning("what is left of %s can't be ended: %r", name, error)
            return False
        if cleared:
            log.warning("the slot of %s is free: its process has died, and nothing is left of it", name)
        return cleared


def see_to(ledger: Ledger, directory: Path, me: str, remains: Remains, now: float) -> list[Entry]:
    """Free what dead owners waited for, and what they had once the lease is over; tell the living.

    Returns what is to be cleared now, by the caller: it must not hold the ledger meanwhile. ``me`` is
    the caller's own token, ``now`` is seconds since boot. Raises
    :class:`~celeriac.errors.UnavailableError`.
    """
    gone = list(owners.dead(directory))  # before the entries are read: a dead one adds none
    entries = ledger.entries()
    having = {entry.owner for entry in entries}
    for token in gone:
        if token not in having and token.partition("-")[0] == me.partition("-")[0]:
            owners.forget(directory, token)
    alive = {owner: owner == me or owners.is_alive(directory, owner) for owner in having}
    if all(alive.values()) and not any(entry.dead is not None for entry in entries):
        return []
    with ledger.begin():
        return _free(ledger, alive, remains, now)


def _free(ledger: Ledger, alive: Mapping[str, bool | None], remains: Remains, now: float) -> list[Entry]:
    entries = ledger.entries()
    living = {entry.name for entry in entries if entry.taken and alive.get(entry.owner, True)}
    leftovers = []
    for entry in entries:
        if alive.get(entry.owner, True):  # those that came meanwhile live
            if entry.dead is not None:
                ledger.write(replace(entry, dead=None))
            continue
        # Where the file is gone nobody can tell whether the owner lives: nothing of it is ended.
        ends = remains.clear is not None and alive[entry.owner] is False and entry.name not in living
        dead = now if entry.dead is None else entry.dead
        if not entry.taken or (dead + remains.lease <= now and (entry.cleared is not None or not ends)):
            ledger.remove(entry.owner, entry.name)
            if entry.taken:
                log.warning("the slot of %s is free: its process has died %.0f s ago", entry.name, now - dead)
            continue
        ask = ends and (entry.cleared is None or entry.cleared + AGAIN <= now)
        if ask:
            leftovers.append(entry)
        if ask or entry.dead is None:
            ledger.write(replace(entry, dead=dead, cleared=now if ask else entry.cleared))
    return leftovers
