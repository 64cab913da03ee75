"""Which owners of a ledger live, told by their files' locks. Imports next to nothing: see ``reaper.py``."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

#: What the name of an owner's file begins with; its token follows.
PREFIX = "owner-"


def boot_id(root: str | os.PathLike[str] = "/") -> str:
    """Return what names this boot of this host."""
    with open(os.path.join(root, "proc/sys/kernel/random/boot_id"), encoding="ascii") as file:
        return file.read().strip().replace("-", "")


def is_locked(path: str | os.PathLike[str]) -> bool | None:
    """Tell whether a process has a file's lock for itself. None: there is no such file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return True  # not to be looked at: nothing of it may be touched
    try:
        # a shared lock, so that those who look at the same time don't take one another for the owner
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough where a fork has just copied the descriptor
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(file)


def owners(directory: str | os.PathLike[str], boot: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the token of each owner (of one ``boot``, if it is named), and whether it lives."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name.startswith(PREFIX + boot):
            alive = is_locked(os.path.join(directory, name))
            if alive is not None:
                yield name[len(PREFIX) :], alive
