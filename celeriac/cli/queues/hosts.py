"""The hosts whose workers have told the journal that they are there, and what is short of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import duration, iso
from celeriac.resources import CONTROL_QUEUE, Budget, QueueLimits, rank

if TYPE_CHECKING:
    from celeriac.journal.database import Database

#: How many steps that use all of a queue's limits a budget holds at once.
Holds = Callable[[Budget, QueueLimits], int]

#: The columns of :func:`rows`.
HEADS = ("HOST", "CPUS", "RAM", "GPUS", "HOLDS", "RUNNING", "WORKER", "SERVES", "SLOTS", "SEEN")


@dataclass(frozen=True)
class Worker:
    """One worker, as it described itself."""

    name: str
    slots: int  # the most steps at once
    queues: Mapping[str, int]  # that it serves -> how many of its steps the host holds at once
    seen: float  # by the journal's clock


@dataclass(frozen=True)
class Host:
    """One host with a worker at least."""

    name: str
    budget: Budget
    workers: Sequence[Worker]
    running: Mapping[str, int] = field(default_factory=dict)  # queue -> steps that run now
    holds: Mapping[str, int] = field(default_factory=dict)  # each queue of the file -> steps at once


@dataclass(frozen=True)
class Site:
    """All that the journal knows at one moment."""

    now: float
    hosts: Sequence[Host]
    running: Mapping[str, int]  # queue -> steps that run now, on all hosts

    def workers(self, queue: str) -> list[Worker]:
        """Return the workers that serve a queue."""
        return [worker for host in self.hosts for worker in host.workers if queue in worker.queues]


def look(database: Database, within: float, queues: Sequence[QueueLimits], holds: Holds) -> Site:
    """Return the workers that were seen within so many seconds, by host, and what runs there."""
    from celeriac.journal import views, workers

    with database.read() as connection:
        alive, running = workers.alive(connection, within), workers.running(connection)
        now = views.clock(connection)
    hosts = []
    for name, rows in groupby(sorted(alive, key=lambda row: (row.host, row.name)), key=lambda row: row.host):
        group = list(rows)
        latest = max(group, key=lambda row: row.seen).budget
        budget = Budget(latest["cpus"], latest["ram"], tuple(latest["gpus"]))
        found = [Worker(row.name, row.slots, row.queues, row.seen) for row in group]
        runs = {queue: number for (host, queue), number in running.items() if host == name}
        hosts.append(Host(name, budget, found, runs, {queue.name: holds(budget, queue) for queue in queues}))
    total: dict[str, int] = {}
    for (_, queue), number in running.items():
        total[queue] = total.get(queue, 0) + number
    return Site(now, hosts, total)


# --- shown ---------------------------------------------------------------------------------------


def rows(site: Site) -> list[tuple[str, ...]]:
    """Return the lines of the table: what is of the host stands in the line of its first worker."""
    found = []
    for host in site.hosts:
        about = _about(host)
        for worker in host.workers:
            seen = f"{duration(max(0.0, site.now - worker.seen))} ago"
            found.append((*about, worker.name, ", ".join(worker.queues), str(worker.slots), seen))
            about = ("",) * len(about)
    return found


def _about(host: Host) -> tuple[str, ...]:
    budget = host.budget
    holds = ", ".join(f"{name} {number}" for name, number in host.holds.items() if number)
    running = ", ".join(f"{name} {number}" for name, number in sorted(host.running.items()))
    return (host.name, f"{budget.cpus:g}", f"{budget.ram} MiB", " ".join(budget.gpus), holds, running)


def data(site: Site) -> list[dict[str, Any]]:
    """Return the hosts as JSON."""
    return [
        {
            "host": host.name,
            "cpus": host.budget.cpus,
            "ram": host.budget.ram,
            "gpus": list(host.budget.gpus),
            "holds": dict(host.holds),
            "running": dict(host.running),
            "workers": [
                {"name": one.name, "slots": one.slots, "queues": dict(one.queues), "seen": iso(one.seen)}
                for one in host.workers
            ],
        }
        for host in site.hosts
    ]


# --- what is short -------------------------------------------------------------------------------


def warnings(queues: Sequence[QueueLimits], depths: Mapping[str, Any] | None, site: Site | None) -> list[str]:
    """Say where steps wait that nobody takes, and which queues no host could serve."""
    return [*_unserved(queues, depths or {}), *_too_large(queues, site)]


def _unserved(queues: Sequence[QueueLimits], depths: Mapping[str, Any]) -> Iterator[str]:
    for name in (*(queue.name for queue in sorted(queues, key=rank)), CONTROL_QUEUE):
        depth = depths.get(name)
        if depth is None or not depth.waiting or depth.workers:
            continue
        if name == CONTROL_QUEUE:
            yield "no worker is there, so no run goes on; start one: `celery worker`"
            continue
        verb = "step waits" if depth.waiting == 1 else "steps wait"
        yield f"{depth.waiting} {verb} in queue {name}, which no worker serves; start one: `celery worker -Q {name}`"


def _too_large(queues: Sequence[QueueLimits], site: Site | None) -> Iterator[str]:
    if site is None or not site.hosts:
        return  # nobody has said how large a host is
    there = "; ".join(f"{host.name} has {host.budget}" for host in site.hosts[:3])
    more = "" if len(site.hosts) <= 3 else f"; and {len(site.hosts) - 3} more"
    for queue in sorted(queues, key=rank):
        # one that serves it all the same was told to oversubscribe its host
        if not any(host.holds.get(queue.name) for host in site.hosts) and not site.workers(queue.name):
            yield f"no worker's host holds even one step of queue {queue}: {there}{more}"
