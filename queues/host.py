"""The size of this host: what its processes may really use, control groups included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from celeriac.resources import QueueLimits

_MIB = 1024 * 1024


def host_queue(root: Path = Path("/")) -> QueueLimits:
    """Return one queue named ``local`` as large as this host, for runs with no queue file at hand.

    CPUs: those this process may run on, within the CPU quota of its control group (v1 and v2), and
    1 at least, since a CWL step asks for one core when it says nothing. Memory: the smaller of the
    host's and its control group's, in MiB. ``root`` is where /proc and /sys are.
    """
    cpus = min([float(len(os.sched_getaffinity(0))), *_cpu_quotas(root)])
    memory = min([_total_memory(root), *_memory_limits(root)])
    return QueueLimits("local", cpus=max(1.0, cpus), ram=max(1, memory // _MIB))


def _total_memory(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise OSError("no MemTotal in /proc/meminfo")


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Yield each limit in CPUs that holds for this process, its own and its ancestors'."""
    for group in _groups(root, ""):
        words = _words(group / "cpu.max")
        if len(words) == 2 and words[0].isdecimal():  # "max": no limit
            yield int(words[0]) / int(words[1])
    for group in _groups(root, "cpu"):
        quota, period = (_words(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota and period and int(quota[0]) > 0:  # -1: no limit
            yield int(quota[0]) / int(period[0])


def _memory_limits(root: Path) -> Iterator[int]:
    """Yield each limit in bytes that holds for this process, its own and its ancestors'."""
    files = [group / "memory.max" for group in _groups(root, "")]
    files += [group / "memory.limit_in_bytes" for group in _groups(root, "memory")]
    for file in files:
        words = _words(file)
        if words and words[0].isdecimal():  # "max": no limit
            yield int(words[0])


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield this process's control group of one controller ("" for v2) and all above it.

    Each line of /proc/self/cgroup is ``number:controllers:path``. In a container the path may be
    the host's and not visible here; the walk then ends at the mount, which is the container's own.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controller not in controllers.split(","):
            continue
        here = PurePosixPath(path.lstrip("/"))
        if ".." in here.parts:
            here = PurePosixPath()
        # Controllers that share a mount have a directory with all their names and a link with each.
        for mount in {controllers, controller}:
            yield from (root / "sys/fs/cgroup" / mount / group for group in (here, *here.parents))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
