"""A process's part in the ledger: its owner's file and its connection, opened when they are needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from celeriac.errors import CeleriacError
from queues import owners
from queues.alive import boot_id
from queues.ledger import Ledger, remove_earlier
from queues.turns import Entry

log = logging.getLogger(__name__)


class Part:
    """For one thread at a time: the caller holds its lock. ``guard`` is called when an owner has come."""

    def __init__(self, directory: Path, guard: Callable[[], None] = lambda: None) -> None:
        self._directory = directory
        self._guard = guard
        self._owner: owners.Owner | None = None
        self._ledger: Ledger | None = None

    def open(self, held: Iterable[Entry]) -> tuple[Ledger, str]:
        """Return the ledger, and this process's token in it.

        Where somebody removed the files, as cleaners of temporary directories do, they are made again,
        with what this process has taken (``held``). Raises :class:`~celeriac.errors.SettingsError` and
        :class:`~celeriac.errors.UnavailableError`.
        """
        if self._ledger is not None and not self._ledger.is_intact():
            self.disconnect()
        if self._owner is None or self._ledger is None:
            owners.prepare(self._directory)
        if self._owner is None:
            boot = boot_id()
            self._owner = owners.Owner(self._directory, boot)
            remove_earlier(self._directory, boot)
            self._guard()
        self._owner.restore()
        if self._ledger is None:
            self._ledger = Ledger(self._directory, boot_id())
            _enter(self._ledger, self._owner.token, held)
        return self._ledger, self._owner.token

    def has_changed(self) -> bool:
        """Whether others have written since the last time this was asked, or nobody knows. Cheap."""
        return self._ledger is None or self._ledger.has_changed()

    def disconnect(self) -> None:
        """Close the connection; what is taken stays so."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.close()

    def leave(self) -> None:
        """Let go of everything without a word: for a forked child, whose parent it stands for."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.leave()

    def close(self) -> None:
        """Give all back and let go of everything."""
        if self._owner is None:
            return
        try:
            ledger, token = self.open([])
            ledger.remove_all(token)
        except CeleriacError as error:
            log.warning("what this process has taken is free later, as if it had died: %s", error)
            self.leave()
        else:
            self._owner.close()
            self._owner = None
        self.disconnect()


def after(entries: Sequence[Entry]) -> int:
    """Return the number of the one that comes after these."""
    return entries[-1].number + 1 if entries else 1


def _enter(ledger: Ledger, token: str, held: Iterable[Entry]) -> None:
    """Write what a process has taken and the ledger does not know."""
    held = list(held)
    if not held:
        return
    with ledger.begin():
        entries = ledger.entries()
        known = {entry.name for entry in entries if entry.owner == token}
        missing = [entry for entry in held if entry.name not in known]
        for number, entry in enumerate(missing, start=after(entries)):
            ledger.write(replace(entry, number=number, owner=token))
