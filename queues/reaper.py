"""The reaper of a host: one process that notices when an owner of the slots' ledger has died.

It outlives whoever started it, and ends when no owner is left. It waits for most of its life, so it is a
program of its own that imports next to nothing (``python -I -S queues/reaper.py``): what there is to do
once somebody has died is another program's, which it becomes by exec, and which becomes this one again.
The lock of the file ``reaper`` goes from one to the other: there is one reaper a directory.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence

if not __package__:  # started by its path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from queues.alive import boot_id, owners

#: The file whose lock the reaper has.
LOCK = "reaper"
#: Seconds between two looks at the owners, and between two that have to agree that one is dead.
PAUSE, AGREE = 0.5, 0.05
#: Who ends all processes of a terminal or a service does not mean this one: it ends by itself, soon after them.
_DEAF_TO = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


def main(words: Sequence[str]) -> None:
    """Run ``DIRECTORY LOCK COMMAND...``; LOCK is the lock's descriptor, or ``-`` to take it.

    COMMAND becomes this process when an owner has died; it gets the descriptor as its last word.
    """
    directory, held, *command = words
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    lock = _begin(directory) if held == "-" else int(held)
    if lock is not None and _somebody_died(directory, lock, boot_id()):
        os.set_inheritable(lock, True)
        os.execv(command[0], [*command, str(lock)])


def _begin(directory: str) -> int | None:
    """Leave whoever started this; return the lock's descriptor, None where another has the lock."""
    if os.fork():
        os._exit(0)
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write("celeriac-reaper")
    try:
        lock = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    return lock if _take(lock) else None


def _somebody_died(directory: str, lock: int, boot: str) -> bool:
    """Return True as soon as an owner is dead, False when there is none any more."""
    while True:
        there = dict(owners(directory, boot))
        if not there and not _stays(directory, lock, boot):
            return False
        if not all(there.values()):
            time.sleep(AGREE)  # one that is about to lock its file is not dead
            again = dict(owners(directory, boot))
            if any(not alive and not again.get(token, True) for token, alive in there.items()):
                return True
        time.sleep(PAUSE)


def _stays(directory: str, lock: int, boot: str) -> bool:
    """Let others start a reaper; stay if an owner came at this moment, who may have relied on this one."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    return any(True for _ in owners(directory, boot)) and _take(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
