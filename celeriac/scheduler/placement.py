"""Where a step goes and what it is granted there: its first place, and the next rung of the memory ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.resources import Ask, QueueLimits, Resources, place


@dataclass(frozen=True)
class Placement:
    """A queue, and what a step on it really has."""

    queue: str
    granted: Resources  # the limits of its container, and what $(runtime.cores) and $(runtime.ram) say


def placement(ask: Ask, queues: Sequence[QueueLimits], *, limited: bool = True, step: str = "") -> Placement:
    """Return the smallest queue that holds the ask, or the one that it names.

    ``limited=False``: the queue is no operator's limit but the host itself. A step is then granted the
    least that it asks for, and a queue that it names is left out of account: there is one only.
    Raises :class:`~celeriac.errors.PlacementError`.
    """
    queue = place(ask.least, queues, ask.queue if limited else None, prefer_default=ask.silent, step=step)
    return Placement(queue.name, grant(ask, queue) if limited else ask.least)


def grant(ask: Ask, queue: QueueLimits) -> Resources:
    """Return what a step has on a queue that holds it: the most that it may use, within the queue's limits."""
    cpus = queue.cpus if ask.cpus is None else min(ask.cpus, queue.cpus)
    ram = queue.ram if ask.ram is None else min(ask.ram, queue.ram)
    return Resources(max(cpus, ask.least.cpus), max(ram, ask.least.ram), ask.least.gpus)


def climb(ask: Ask, had: Placement, queues: Sequence[QueueLimits]) -> Placement | None:
    """Return the next rung for a step that ran out of memory where it was, with all the memory of its queue.

    That is the smallest queue with more memory than the one it was on; where there is none, its own
    queue, if the step did not have all of it. None at the top. The queue that a step names is left too.
    """
    own = next((queue.ram for queue in queues if queue.name == had.queue), 0)
    for more in (max(own, had.granted.ram), had.granted.ram):
        least = Resources(ask.least.cpus, max(ask.least.ram, more + 1), ask.least.gpus)
        if any(queue.holds(least) for queue in queues):
            queue = place(least, queues)
            return Placement(queue.name, Resources(grant(ask, queue).cpus, queue.ram, ask.least.gpus))
    return None
