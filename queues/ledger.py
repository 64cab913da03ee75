"""The ledger of a host's slots: one SQLite file that all workers of the host write to.

There is a file a boot. So nothing that was taken before a reboot counts after it, and no file has to
survive a power failure: commits don't wait for the disk. What a killed process had begun to write is
undone by the next one (SQLite's write-ahead log). The directory has to be on this host: SQLite's log
is shared memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celeriac.errors import SettingsError, UnavailableError
from celeriac.resources import Budget, Resources
from queues import owners
from queues.alive import boot_id
from queues.turns import Entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL,
    cpus REAL NOT NULL, ram INTEGER NOT NULL, gpu_count INTEGER NOT NULL,
    worker TEXT NOT NULL, cap INTEGER, budget TEXT, gpus TEXT NOT NULL, taken INTEGER NOT NULL,
    since REAL NOT NULL, looked REAL NOT NULL, dead REAL, cleared REAL
)
"""
_COLUMNS = "number, owner, name, cpus, ram, gpu_count, worker, cap, budget, gpus, taken, since, looked, dead, cleared"
_SELECT = f"SELECT {_COLUMNS} FROM entries ORDER BY number"
_REPLACE = f"REPLACE INTO entries ({_COLUMNS}) VALUES ({', '.join('?' * 15)})"
_VERSION = 1  # of the table

#: Seconds to wait for another process's transaction, which takes less than a millisecond.
_PATIENCE = 10.0


class Busy(UnavailableError):
    """Another process keeps the ledger for itself: it was stopped in the middle of a transaction."""


def path_of(directory: Path, boot: str) -> Path:
    """Return where the ledger of a boot is."""
    return directory / f"ledger-{boot}.db"


class Ledger:
    """One process's connection, for one thread at a time. It must not be open while the process forks.

    Raises :class:`~celeriac.errors.UnavailableError` where the file can't be used.
    """

    def __init__(self, directory: Path, boot: str) -> None:
        self._path = path_of(directory, boot)
        with self._named_errors(), _alone(directory):
            self._db = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            self._make()
        self._inode = os.stat(self._path).st_ino
        self._seen = -1

    def _make(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise UnavailableError(
                f"the ledger of this host's slots, {self._path}, has version {version}; {_VERSION} was expected",
                hint="Workers of another version of Celeriac made it: end them, and remove it.",
            )
        self._db.execute(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def is_intact(self) -> bool:
        """Whether the file is still the one that others find."""
        try:
            return os.stat(self._path).st_ino == self._inode
        except OSError:
            return False

    def has_changed(self) -> bool:
        """Whether others have written since the last time this was asked. Cheap."""
        with self._named_errors():
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
        before, self._seen = self._seen, int(version)
        return before != self._seen

    def entries(self) -> list[Entry]:
        """Return all that is taken or waits, in the order of arrival."""
        with self._named_errors():
            return [_entry(row) for row in self._db.execute(_SELECT)]

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """One transaction that writes: all of it, or nothing. Raises :class:`Busy`."""
        try:
            with self._named_errors():
                self._db.execute("BEGIN IMMEDIATE")
            yield
            with self._named_errors():
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def write(self, entry: Entry) -> None:
        """Write an entry, in the place of the one with its number if there is one."""
        self._write(_REPLACE, *_row(entry))

    def remove(self, owner: str, name: str) -> None:
        """Remove what an owner has, or waits for, under a name."""
        self._write("DELETE FROM entries WHERE owner = ? AND name = ?", owner, name)

    def remove_all(self, owner: str) -> None:
        """Remove all that an owner has or waits for."""
        self._write("DELETE FROM entries WHERE owner = ?", owner)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _write(self, statement: str, *values: Any) -> None:
        with self._named_errors():
            self._db.execute(statement, values)

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _named(self._path, error) from error


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one process at a time open the ledger: SQLite does not wait for others while it makes a log."""
    try:
        file = os.open(directory / "opening", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(
            f"the directory of this host's slots, {directory}, can't be written to: {error.strerror}"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _named(path: Path, error: Exception) -> UnavailableError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return Busy(f"the ledger of this host's slots, {path}, is kept busy by another process")
    return UnavailableError(
        f"the ledger of this host's slots, {path}, can't be used: {error}",
        hint="Look for a full disk. A file that is broken may be removed once this host's workers have ended.",
    )


# --- rows ----------------------------------------------------------------------------------------


def _entry(row: tuple[Any, ...]) -> Entry:
    number, owner, name, cpus, ram, gpu_count, worker, cap, budget, gpus, taken, *times = row
    return Entry(
        number,
        owner,
        name,
        Resources(cpus, ram, gpu_count),
        worker,
        cap,
        None if budget is None else _budget(budget),
        tuple(json.loads(gpus)) if gpus else (),
        bool(taken),
        *times,
    )


def _row(entry: Entry) -> tuple[Any, ...]:
    wanted, budget = entry.wanted, entry.budget
    return (
        entry.number,
        entry.owner,
        entry.name,
        wanted.cpus,
        wanted.ram,
        wanted.gpus,
        entry.worker,
        entry.cap,
        None if budget is None else json.dumps([budget.cpus, budget.ram, budget.gpus]),
        json.dumps(entry.gpus) if entry.gpus else "",
        entry.taken,
        entry.since,
        entry.looked,
        entry.dead,
        entry.cleared,
    )


def _budget(text: str) -> Budget:
    cpus, ram, gpus = json.loads(text)
    return Budget(cpus, ram, tuple(gpus))


# --- for people ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    name: str  # the attempt
    worker: str
    resources: Resources
    gpus: tuple[str, ...]  # ids
    since: float  # when it came or took: seconds since the epoch
    waiting: bool
    dead: bool  # its process has died; what it took is about to come back


def overview(directory: Path) -> list[Line]:
    """Return what is taken on this host and what waits, in the order of arrival; only reads.

    Nothing where there is no ledger. Raises :class:`~celeriac.errors.UnavailableError` for one that
    can't be read.
    """
    path = path_of(directory, boot_id())
    try:
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            entries = [_entry(row) for row in db.execute(_SELECT)]
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or not path.exists():  # it is being made, or was removed
            return []
        raise _named(path, error) from error
    except (sqlite3.Error, OSError) as error:
        raise _named(path, error) from error
    return [_line(entry, directory) for entry in entries]


def _line(entry: Entry, directory: Path) -> Line:
    return Line(
        name=entry.name,
        worker=entry.worker,
        resources=entry.wanted,
        gpus=entry.gpus,
        since=entry.since,
        waiting=not entry.taken,
        dead=owners.is_alive(directory, entry.owner) is False,
    )


def remove_earlier(directory: Path, boot: str) -> None:
    """Remove the ledgers of other boots whose owners are all dead: those from before a reboot.

    One with a living owner belongs to another host that has the same directory.
    """
    for path in directory.glob("ledger-*.db"):
        other = path.stem.removeprefix("ledger-")
        tokens = [file.name.removeprefix("owner-") for file in directory.glob(f"owner-{other}-*")]
        if other == boot or any(owners.is_alive(directory, token) for token in tokens):
            continue
        for rest in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{path}{rest}").unlink()
        for token in tokens:
            owners.forget(directory, token)
