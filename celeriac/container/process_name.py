"""The name under which a process holds leases and keeps runs: it tells whether the process still lives."""

from __future__ import annotations

import os

from celeriac.container import identity


def process_name(host: str, token: str) -> str:
    """Return this process's name: ``HOST:PID:TOKEN.BOOT.START.NAMESPACE``.

    START is in clock ticks since boot, NAMESPACE the inode of the PID namespace: a number that was given
    to another process meanwhile, or is another's elsewhere, is not taken for this one's.
    """
    pid = os.getpid()
    return f"{host}:{pid}:{token}.{_boot()}.{identity.start_time(pid)}.{identity.namespace()}"


def is_abandoned(keeper: str | None, host: str) -> bool:
    """Whether the process that alone looks after a run is known to have ended, so that nobody does."""
    return keeper is not None and is_dead(keeper, host) is True


def is_dead(owner: str, host: str) -> bool | None:
    """Tell whether a process has ended; None: that can't be told from this host, or from this namespace."""
    try:
        where, pid, rest = owner.rsplit(":", 2)
        _, boot, start, namespace = rest.split(".")
    except ValueError:
        return None
    if where != host:
        return None
    if boot != _boot():
        return True  # the host was started anew since
    return None if namespace != str(identity.namespace()) else str(identity.start_time(int(pid))) != start


def _boot() -> str:
    return identity.boot_id()[:8]
