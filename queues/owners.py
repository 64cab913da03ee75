"""The processes that share a ledger: each holds the lock of a file of its own for as long as it lives.

A lock (flock) ends with its process, however that ends, and is seen from every PID namespace. A child
that was forked shares its parent's, and would keep it alive: it has to :meth:`Owner.leave` it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from celeriac.errors import SettingsError
from queues.alive import PREFIX, is_locked, owners

_HINT = "Set CELERIAC_SLOTS_DIR to a directory on this host that only the workers' user may write to."


def prepare(directory: Path) -> None:
    """Make the directory, for its owner only, unless it is there.

    Raises :class:`~celeriac.errors.SettingsError` where it can't be made, or is not to be trusted: a
    link, somebody else's, or one that everybody may write to.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(0o700)
        found = directory.lstat()
    except OSError as error:
        raise _refused(directory, f"can't be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no directory"
        raise _refused(directory, f"is {kind}; a directory was expected")
    if found.st_uid not in (os.geteuid(), 0):
        raise _refused(directory, f"belongs to user {found.st_uid}; user {os.geteuid()} or root was expected")
    if found.st_mode & stat.S_IWOTH:
        raise _refused(directory, "may be written to by everybody; one for its owner only was expected")


def _refused(directory: Path, problem: str) -> SettingsError:
    return SettingsError(f"the directory of this host's slots, {directory}, {problem}", hint=_HINT)


class Owner:
    """This process, as others see it. Raises :class:`~celeriac.errors.SettingsError` without a place for it."""

    def __init__(self, directory: Path, boot: str) -> None:
        self.token = f"{boot}-{secrets.token_hex(8)}"
        self._path = directory / (PREFIX + self.token)
        self._file = self._lock()

    def _lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            try:
                file = os.open(self._path, flags, 0o600)
            except OSError as error:
                raise _refused(self._path.parent, f"can't be written to: {error.strerror}") from error
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return file
            os.close(file)  # taken for a dead one's before it was locked, and removed

    def restore(self) -> None:
        """Have the file again if somebody removed it, as cleaners of temporary directories do."""
        if not os.fstat(self._file).st_nlink:
            os.close(self._file)
            self._file = self._lock()

    def leave(self) -> None:
        """Let go of the file without a word: for a forked child, whose parent it stands for."""
        os.close(self._file)

    def close(self) -> None:
        """Remove the file: nothing is owned any more."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def is_alive(directory: Path, token: str) -> bool | None:
    """Tell whether an owner lives. None: its file is gone, and with it the answer."""
    return is_locked(directory / (PREFIX + token))


def dead(directory: Path) -> Iterator[str]:
    """Yield the owners that have died without a farewell."""
    return (token for token, alive in owners(directory) if not alive)


def forget(directory: Path, token: str) -> None:
    """Remove the file of a dead owner that has nothing any more."""
    with contextlib.suppress(OSError):
        (directory / (PREFIX + token)).unlink()
