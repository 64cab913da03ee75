"""One group: its limits, its processes, its end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable, Mapping

from celeriac.container.cgroup.reading import Reading, read, text

#: Microseconds in which a group's share of the CPUs is counted; the least that it may have of them.
PERIOD, LEAST = 100_000, 1_000
#: Seconds within which the last of its processes must be gone, and it be removed.
PATIENCE = 5.0
_PAUSE = 0.005
#: Links to a directory that has none in it: from its parent, and from itself.
_LINKS_ALONE = 2
#: How swap is refused, the first that is there: None stands for the limit. The last is a wish, no order.
_NO_SWAP = (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", None), ("memory.swappiness", 0))


class Group:
    """One group by its directories: that of each controller (version 1), or one for all (version 2)."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = dict(paths)
        self._directories = sorted(set(paths.values()))

    @property
    def controllers(self) -> set[str]:
        """What it can limit or count."""
        return set(self._paths)

    def limit_memory(self, limit: int) -> None:
        """Let its processes have ``limit`` bytes in all, and no swap; raises OSError."""
        directory = self._paths["memory"]
        if not _write_any(directory, limit, "memory.max", "memory.limit_in_bytes"):
            raise FileNotFoundError(errno.ENOENT, "it has no file for a limit of memory")
        # without the controller of swap, version 1 has at least a knob that makes it the last resort
        for name, value in _NO_SWAP:
            if _write_any(directory, limit if value is None else value, name):
                return

    def limit_cpus(self, cpus: float) -> None:
        """Let its processes have so many CPUs' time; raises OSError."""
        directory, quota = self._paths["cpu"], max(LEAST, int(cpus * PERIOD))
        if _write_any(directory, f"{quota} {PERIOD}", "cpu.max"):
            return
        _write_any(directory, PERIOD, "cpu.cfs_period_us")
        if not _write_any(directory, quota, "cpu.cfs_quota_us"):
            raise FileNotFoundError(errno.ENOENT, "it has no file for a limit of CPUs")

    def add(self, pid: int) -> None:
        """Put a process into it, with its threads; one that is gone is no error; raises OSError."""
        for directory in self._directories:
            with contextlib.suppress(ProcessLookupError):
                _write(f"{directory}/cgroup.procs", pid)

    def lacks(self, pids: Iterable[int]) -> set[int]:
        """Return those that are not in it, or not in all of its parts."""
        wanted, missing = set(pids), set[int]()
        for directory in self._directories:
            missing |= wanted - _members(directory)
        return missing

    def members(self) -> set[int]:
        """Return its processes, and those of groups that they made below it."""
        return {pid for top in self._directories for directory in _tree(top) for pid in _members(directory)}

    def read(self) -> Reading | None:
        """Look at what its processes use."""
        return read(self._paths.get("memory"), self._paths.get("cpuacct") or self._paths.get("cpu"))

    def kill(self) -> bool:
        """SIGKILL all that is in it and see it go; return whether it is empty."""
        until = time.monotonic() + PATIENCE
        for directory in self._directories:
            with contextlib.suppress(OSError):  # Linux 5.14, version 2
                _write_any(directory, 1, "cgroup.kill")
        while pids := self.members():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        return True

    def is_removed(self) -> bool:
        """Remove it if nobody is in it now; return whether nothing of it is left."""
        return all(_remove_tree(top) for top in self._directories)

    def remove(self) -> bool:
        """Remove it, when it is empty; return whether nothing of it is left."""
        until = time.monotonic() + PATIENCE
        for top in self._directories:
            while not _remove_tree(top):
                if time.monotonic() > until:
                    return False
                time.sleep(_PAUSE)
        return True


def hand_down(directory: str, controller: str) -> None:
    """Let groups below ``directory`` have the controller (version 2); raises OSError if they can't."""
    path = f"{directory}/cgroup.subtree_control"
    with open(path, encoding="ascii") as file:
        if controller not in file.read().split():
            _write(path, f"+{controller}")
    if not os.access(directory, os.W_OK):
        raise PermissionError(errno.EACCES, "it is not delegated to this user", directory)


def _tree(top: str) -> list[str]:
    """Return a group's directory and, after it, those of the groups below."""
    try:
        is_alone = os.stat(top).st_nlink == _LINKS_ALONE
    except OSError:
        return []
    return [top] if is_alone else [directory for directory, _, _ in os.walk(top, onerror=None)]


def _remove_tree(top: str) -> bool:
    """Remove a group and those below it; the kernel may hold one for a moment after its last process."""
    for directory in reversed(_tree(top)):
        try:
            os.rmdir(directory)
        except OSError:
            return not os.path.isdir(top)
    return True


def _members(directory: str) -> set[int]:
    return {int(line) for line in text(f"{directory}/cgroup.procs").splitlines()}


def _write_any(directory: str, value: object, *names: str) -> bool:
    """Write to the first of the files that is there; return whether one is; raises OSError if it won't take it."""
    for name in names:
        try:
            _write(f"{directory}/{name}", value)
        except FileNotFoundError:
            continue
        return True
    return False


def _write(path: str, value: object) -> None:
    # one call, no creation: the kernel takes each write as one order
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)
