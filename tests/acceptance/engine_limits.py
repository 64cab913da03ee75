"""What the engine and the kernel say of the containers that run now: their limits, and the sum of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import NotFound

_CGROUP = Path("/sys/fs/cgroup")
_MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """One container's limits as its inspect output has them."""

    cpus: float
    memory: int  # MiB
    swap: int  # MiB, beside the memory


@dataclass
class Sight:
    """What was seen while a block ran."""

    limits: dict[tuple[str, str], Limits] = field(default_factory=dict)  # (step, attempt) -> limits
    most_cpus: float = 0.0  # the largest sum of the quotas of the cgroups that were there at once
    most_memory: int = 0  # MiB
    looks: int = 0

    def of(self, step: str) -> set[Limits]:
        """Return the limits of all containers of a step."""
        return {limits for (path, _), limits in self.limits.items() if path == step}


@contextmanager
def watching(url: str, home: Path) -> Iterator[Sight]:
    """Watch the containers of one home's runs till the end of the block."""
    seen, over = Sight(), threading.Event()
    thread = threading.Thread(target=_watch, args=(url, home, seen, over))
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _watch(url: str, home: Path, seen: Sight, over: threading.Event) -> None:
    client = docker.APIClient(base_url=url)
    while not over.wait(0.05):
        cpus, memory = 0.0, 0
        for found in client.containers(filters={"label": "celeriac.run"}):
            if not any(str(home) in mount["Source"] for mount in found["Mounts"]):
                continue  # another test's
            labels = found["Labels"]
            try:
                _note(seen, client.inspect_container(found["Id"]), labels["celeriac.step"], labels["celeriac.attempt"])
            except NotFound:
                continue
            quota = _quota(found["Id"])
            if quota is not None:
                cpus, memory = cpus + quota[0], memory + quota[1]
        seen.looks += 1
        seen.most_cpus, seen.most_memory = max(seen.most_cpus, cpus), max(seen.most_memory, memory)
    client.close()


def _note(seen: Sight, inspected: dict, step: str, attempt: str) -> None:  # type: ignore[type-arg]
    config = inspected["HostConfig"]
    memory, both = config["Memory"] // _MIB, config["MemorySwap"] // _MIB
    seen.limits[step, attempt] = Limits(config["NanoCpus"] / 1e9, memory, both - memory)


def _quota(container: str) -> tuple[float, int] | None:
    """Return a container's CPUs and MiB by its control groups (v1 and v2); None once it has ended."""
    try:
        one = _CGROUP / "cpu/docker" / container
        if one.is_dir():
            quota, period = (int((one / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            limit = int((_CGROUP / "memory/docker" / container / "memory.limit_in_bytes").read_text())
            return quota / period, limit // _MIB
        for two in (_CGROUP / "docker" / container, _CGROUP / f"system.slice/docker-{container}.scope"):
            if two.is_dir():
                quota, period = (int(word) for word in (two / "cpu.max").read_text().split())
                return quota / period, int((two / "memory.max").read_text()) // _MIB
    except (OSError, ValueError):
        return None
    return None
