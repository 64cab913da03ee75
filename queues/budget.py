"""What fits beside what on one host: sums of CPUs, memory and GPUs. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from celeriac.resources import Budget, QueueLimits, Resources

# CPUs are added up in whole millionths: sums of floats would make 0.7 CPUs too few for seven times 0.1.
_UNIT = 1_000_000
_SLACK = 1e-3  # of a unit: what a float of up to thousands of CPUs may be off
_MOST = 1e9  # CPUs; so that an infinite ask is one that never fits

#: What runs: its resources, and the ids of the GPUs that it leases.
Taken = tuple[Resources, tuple[str, ...]]


def fits(budget: Budget, taken: Iterable[Taken], wanted: Resources) -> tuple[str, ...] | None:
    """Return the GPUs to lease if ``wanted`` fits beside what is taken, the first free ones; else None.

    CPUs are exact to a millionth of one for each step. An amount that is not there at all, as on a
    host whose budget was exceeded, is not there for a step that asks for nothing of it either.
    """
    cpus, ram, leased = _there(budget.cpus), budget.ram, set[str]()
    for resources, ids in taken:
        cpus -= _asked(resources.cpus)
        ram -= resources.ram
        leased.update(ids)
    if _asked(wanted.cpus) > cpus or wanted.ram > ram:
        return None
    free = tuple(gpu for gpu in budget.gpus if gpu not in leased)
    return free[: wanted.gpus] if wanted.gpus <= len(free) else None


def shared(budget: Budget, taken: Iterable[Taken], wanted: Resources) -> tuple[str, ...] | None:
    """Return GPUs for a step that does not wait: those that the fewest lease; None if there aren't as many."""
    leases = Counter(gpu for _, ids in taken for gpu in ids)
    ids = tuple(sorted(budget.gpus, key=lambda gpu: leases[gpu]))  # keeps the order among equals
    return ids[: wanted.gpus] if wanted.gpus <= len(ids) else None


def slots(budget: Budget, queue: QueueLimits) -> int:
    """Return how many steps that use all of a queue's limits the budget holds at once; 0 if not one."""
    return min((number for _, number in _by_dimension(budget, queue)), default=0)


def sum_of(budget: Budget, queue: QueueLimits) -> str:
    """Return the sum behind :func:`slots` in words, for messages."""
    step = Resources(queue.cpus, queue.ram, queue.gpus)
    by = ", ".join(f"by {name} {number}" for name, number in _by_dimension(budget, queue))
    return f"{has(budget)}; queue {queue.name} needs {step} a step: {slots(budget, queue)} fit ({by})"


def has(budget: Budget) -> str:
    """Say what this host has: "this host has 2 CPUs and 1500 MiB"."""
    return "this host has " + " and ".join(str(budget).rsplit(", ", 1))


def _by_dimension(budget: Budget, queue: QueueLimits) -> list[tuple[str, int]]:
    dimensions = [
        ("CPUs", _there(budget.cpus), _asked(queue.cpus)),
        ("memory", budget.ram, queue.ram),
        ("GPUs", len(budget.gpus), queue.gpus),
    ]
    return [(name, there // asked) for name, there, asked in dimensions if asked > 0]


def _there(cpus: float) -> int:
    return math.ceil(min(cpus, _MOST) * _UNIT - _SLACK)


def _asked(cpus: float) -> int:
    # Rounded down, so that three times two thirds are two; but nothing that is asked for is free.
    units = math.floor(min(cpus, _MOST + 1) * _UNIT + _SLACK)
    return max(units, 1) if cpus > 0 else units
