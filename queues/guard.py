"""See to it that a host has its reaper (``reaper.py``)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from queues import reaper
from queues.alive import boot_id, is_locked, owners


def ensure(directory: Path, command: Sequence[str]) -> None:
    """Start a reaper unless there is one, or nobody to watch. Returns at once; safe with threads.

    ``command`` is what the reaper becomes when somebody has died, see :func:`words`.
    """
    if is_locked(directory / reaper.LOCK) or not any(True for _ in owners(directory, boot_id())):
        return
    process = subprocess.Popen(
        words(directory, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    # the first process of it ends at once
    threading.Thread(target=process.wait, name="celeriac-reaper", daemon=True).start()


def words(directory: Path, command: Sequence[str], lock: int | None = None) -> list[str]:
    """Return the words that start the reaper; ``lock``: the descriptor of its lock, if the caller has that.

    ``command`` gets the descriptor as its last word, and has to become the reaper again.
    """
    held = "-" if lock is None else str(lock)
    return [sys.executable, "-I", "-S", os.path.abspath(reaper.__file__), str(directory), held, *command]
