"""Who a container belongs to: labels that name the process, and tell whether it still lives."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

from celeriac.container import identity

#: Boot id of the host, so that a process id is never looked up on another one.
HOST = "celeriac.host"
#: The attempt that it runs.
ATTEMPT = "celeriac.attempt"
#: Set for a container that runs several attempts, one after the other: its name tells which one it runs.
SHARED = "celeriac.shared"
#: ``PID:START:NAMESPACE``: START in clock ticks since boot, NAMESPACE the inode of the pid namespace.
OWNER = "celeriac.owner"


def owner_labels() -> dict[str, str]:
    """Return the labels that name this process."""
    return dict(_labels(os.getpid()))


@functools.lru_cache(maxsize=1)
def _labels(pid: int) -> dict[str, str]:
    # nothing of it changes while a process lives, and a forked child has a number of its own
    return {HOST: identity.boot_id(), OWNER: f"{pid}:{identity.start_time(pid)}:{identity.namespace()}"}


def is_dead(labels: Mapping[str, str]) -> bool | None:
    """Tell whether the process that labels name has ended; None: can't be told from here."""
    try:
        pid, start, namespace = (int(part) for part in labels.get(OWNER, "").split(":"))
    except ValueError:
        return None
    if labels.get(HOST) != identity.boot_id() or namespace != identity.namespace():
        return None
    return identity.start_time(pid) != start
