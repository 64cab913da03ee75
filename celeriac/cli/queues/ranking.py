"""How queues rank, in words: where it is not plain which of two is the smaller one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from celeriac.resources import QueueLimits, Resources, place, rank


def ranking(queues: Sequence[QueueLimits]) -> list[str]:
    """Return a sentence for each two neighbours of the order that don't differ in one direction alone.

    Where all neighbours do, every two queues do, and there is nothing to say but of GPUs and defaults.
    """
    ordered = sorted(queues, key=rank)
    found = [text for low, high in pairwise(ordered) if (text := _between(low, high, ordered))]
    return [*found, *_gpus(ordered), *_default(ordered)]


def _between(low: QueueLimits, high: QueueLimits, queues: Sequence[QueueLimits]) -> str:
    if low.amounts == high.amounts:
        return (
            f"{low.name} and {high.name} are the same size: steps go to {low.name}, and to {high.name} only "
            "where a celeriac:queue hint names it"
        )
    reason = _reason(low, high)
    if not reason:
        return ""
    both = Resources(min(low.cpus, high.cpus), min(low.ram, high.ram), min(low.gpus, high.gpus))
    return f"{low} ranks below {high}: {reason}. A step of {both}, which both hold, goes to {place(both, queues).name}"


def _reason(low: QueueLimits, high: QueueLimits) -> str:
    """Say what decides between two that are larger than each other in something; "" for any other two."""
    if not any((low.cpus > high.cpus, low.ram > high.ram, low.gpus > high.gpus)):
        return ""
    if high.gpus and not low.gpus:
        return "queues with GPUs come last"
    if low.cpus < high.cpus:
        return f"CPUs count before {'memory' if low.ram > high.ram else 'GPUs'}"
    return "memory counts before GPUs"


def _gpus(ordered: Sequence[QueueLimits]) -> Iterator[str]:
    having = [queue.name for queue in ordered if queue.gpus]
    if having and len(having) < len(ordered):
        verb = "has GPUs and ranks" if len(having) == 1 else "have GPUs and rank"
        yield f"{' and '.join(having)} {verb} last: a step that asks for none goes there only where no other holds it"


def _default(ordered: Sequence[QueueLimits]) -> Iterator[str]:
    for queue in ordered:
        if queue.default:
            yield f"{queue.name} is the default: a step without a ResourceRequirement goes there if it holds it"
