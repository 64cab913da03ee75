"""What is left of a plain process's command when only its name is known: its worker may be dead."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from celeriac.container.cgroup.tools import ToolGroups
from celeriac.container.procfs import environment, pids, relatives
from celeriac.container.sweep import kill_marked
from celeriac.container.tree import MARK, is_mark_of

#: Seconds within which all of it must be gone.
PATIENCE = 5.0
_PAUSE = 0.02


def clear(name: str, groups: ToolGroups) -> bool:
    """SIGKILL every process of the commands of that name, remove their groups; return whether none is left.

    Found by the mark, by what is of one session with a marked process or comes from it, and by group.
    """
    until = time.monotonic() + PATIENCE
    while marked := _marked(name):
        found = groups.of(name, marked)
        strays = relatives(marked) - marked.keys()
        for pid, mark in marked.items():
            kill_marked(pid, mark)
        for pid in strays:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for group in found:
            group.kill()
        if time.monotonic() > until:
            return False
        time.sleep(_PAUSE)
    return all(group.kill() and group.remove() for group in groups.of(name))


def _marked(name: str) -> dict[int, bytes]:
    """Return the living processes with a mark of that name, and their marks."""
    found = {}
    for pid in pids():
        for entry in environment(pid):
            if entry.startswith(MARK.encode() + b"=") and is_mark_of(entry, name):
                found[pid] = entry
    return found
