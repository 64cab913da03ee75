"""The size of this host: what its processes may really use, control groups included."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from celeriac.resources import Budget, QueueLimits
from queues.gpus import detect

log = logging.getLogger(__name__)

_MIB = 1024 * 1024


#: The queue of runs with no queue file at hand.
HOST_QUEUE = "local"


def host_queue(budget: Budget) -> QueueLimits:
    """Return one queue named ``local`` with all that a host may give, for runs with no queue file at hand."""
    return QueueLimits(HOST_QUEUE, cpus=budget.cpus, ram=budget.ram, gpus=len(budget.gpus))


def host_budget(root: Path = Path("/"), *, cpus: float = 0, ram: int = 0, gpus: Sequence[str] | None = None) -> Budget:
    """Return what the steps of this host may use together.

    CPUs: those this process may run on, within the CPU quota of its control group (v1 and v2).
    Memory: the smaller of the host's and its control group's, in MiB. ``cpus`` and ``ram`` lower
    that; 0 is all there is, and so is more than there is, with a warning. Less than one CPU counts
    as one, found or set: a CWL step asks for one core when it says nothing.

    ``gpus`` are the ids to lease, those that the driver tells when it is None; ids that are given
    are not looked for, as not every driver tells. ``root`` is where /proc and /sys are.
    """
    ids = detect(root) if gpus is None else tuple(dict.fromkeys(gpus))
    cpus = _lowered(_cpus(root), cpus, "CPUs")
    return Budget(cpus=max(1.0, cpus), ram=int(_lowered(_memory(root), ram, "MiB of memory")), gpus=ids)


def _lowered(found: float, limit: float, unit: str) -> float:
    if limit > found:
        log.warning("%.10g %s are set for this host's steps, but it has %.10g: that is what counts", limit, unit, found)
    return min(found, limit) if limit > 0 else found


def _cpus(root: Path) -> float:
    return max(1.0, min([float(len(os.sched_getaffinity(0))), *_cpu_quotas(root)]))


def _memory(root: Path) -> int:
    return max(1, min([_total_memory(root), *_memory_limits(root)]) // _MIB)


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
