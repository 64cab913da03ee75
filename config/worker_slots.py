"""How many steps a worker runs at once: what its host holds of its queues, less if `-c` says so."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from celeriac.errors import HostTooSmall, UsageError
from celeriac.resources import Budget, QueueLimits
from queues.budget import slots, sum_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSlots:
    """One worker's part of its host."""

    at_once: int  # steps
    by_queue: Mapping[str, int]  # how many of each queue's steps the host holds at once
    bounded: bool  # by the host's budget


def worker_slots(
    budget: Budget, queues: Sequence[QueueLimits], asked: int | None, *, named: bool, oversubscribe: bool
) -> WorkerSlots:
    """Return how many steps a worker on ``queues`` runs at once.

    ``asked`` is `-c`, None where it isn't given; ``named``: `-Q` names the queues. A queue of which the
    host holds none is refused if it was named, and otherwise left out. Raises
    :class:`~celeriac.errors.HostTooSmall` with the sum.
    """
    held = {queue.name: slots(budget, queue) for queue in queues}
    if oversubscribe:
        return WorkerSlots(asked or max([1, *held.values()]), held, bounded=False)
    too_large = [queue for queue in queues if held[queue.name] == 0]
    if too_large and (named or len(too_large) == len(queues)):
        raise _too_small(budget, too_large[0])
    for queue in too_large:
        log.warning("queue %s is not served here: %s", queue.name, sum_of(budget, queue))
    served = {name: number for name, number in held.items() if number}
    most = max(served.values(), default=0)
    if asked and asked > most:
        sums = "; ".join(sum_of(budget, queue) for queue in queues if held[queue.name])
        log.warning(
            "-c %d is more than this host holds, so it runs %d steps at once: %s. "
            "--oversubscribe takes %d all the same",
            asked, most, sums, asked,
        )  # fmt: skip
    return WorkerSlots(min(asked or most, most), served, bounded=True)


def of_options(concurrency: object) -> int | None:
    """Return the number that `-c` gave, None for none; ends the worker when it is no number of steps."""
    if concurrency in (None, "auto", 0):
        return None
    if isinstance(concurrency, int) and concurrency > 0:
        return concurrency
    sys.exit(f"celeriac: error: {UsageError(f'-c is {concurrency!r}, but a number of 1 or more was expected')}")


def _too_small(budget: Budget, queue: QueueLimits) -> HostTooSmall:
    return HostTooSmall(
        f"a worker for queue {queue.name} can't start here: {sum_of(budget, queue)}",
        hint="Start it on a larger host, lower the queue's limits in the queue file, or take the risk "
        "with --oversubscribe.",
        queue=queue.name,
    )
