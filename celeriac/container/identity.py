"""What tells a process from all others: the boot of its host, its start, its PID namespace."""

from __future__ import annotations

import os
from pathlib import Path

from celeriac.container.procfs import stat


def boot_id() -> str:
    """Return the id of this host's boot: names the host, and tells a reboot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def start_time(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; -1 for one that is gone."""
    found = stat(pid)
    return found.start if found and found.is_alive else -1


def namespace() -> int:
    """Return the inode of this process's PID namespace: a number means another process elsewhere."""
    return os.stat("/proc/self/ns/pid").st_ino
