"""What a tool used, as numbers, and which queue would do for it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from celeriac.errors import PlacementError
from celeriac.resources import QueueLimits, Resources, place, rank

#: What is added to the largest memory that was seen: the next input may be larger than all before.
SPARE = 0.2
#: A queue may have this much less than the CPUs that were used: it costs as much time at most.
SLACK = 0.1
#: A tool is never advised less than this, unless it asks for less: what CWL has it ask for when it says nothing.
FEWEST_CPUS = 1.0
LEAST_RAM = 256  # MiB
#: An ask is called large when it is this many times what is needed.
LARGE = 2
#: Attempts below which the numbers say little.
FEW = 5


@dataclass(frozen=True)
class Spread:
    """How much was used: half of the attempts used no more than ``p50``, 95 of 100 no more than ``p95``."""

    p50: float
    p95: float
    most: float


@dataclass(frozen=True)
class Usage:
    """One tool's attempts."""

    tool: str
    attempts: int
    least: Resources  # of what it asked for
    most: Resources
    out_of_memory: int = 0  # attempts
    memory_had: int | None = None  # MiB: the most that one had which ran out of it
    memory: Spread | None = None  # MiB; None: nothing was measured
    cpus: Spread | None = None  # CPU seconds a second
    queues: Mapping[str, int] = field(default_factory=dict)  # where its steps went at first


@dataclass(frozen=True)
class Advice:
    """What would do."""

    needs: Resources | None  # None: nothing is known of what it uses
    queue: QueueLimits | None  # the smallest that holds it
    words: Sequence[str]


def spread(values: Sequence[float]) -> Spread | None:
    """Return the percentiles of what was measured; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(percentile(ordered, 50), percentile(ordered, 95), ordered[-1])


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest of the sorted values that ``percent`` of 100 don't exceed (the nearest rank)."""
    return ordered[max(1, -(-percent * len(ordered) // 100)) - 1]


def advise(usage: Usage, queues: Sequence[QueueLimits]) -> Advice:
    """Return what a tool needs by what it used, and the smallest queue that holds that."""
    if usage.memory is None and usage.cpus is None and usage.memory_had is None:
        return Advice(None, None, ["none has ended well yet: nothing to go by"])
    needs = Resources(_cpus(usage), _ram(usage), usage.most.gpus)
    queue = _fitting(needs, queues)
    words = [*_memory(usage, needs), *_cpu(usage, needs), *_verdict(usage, needs, queue, queues)]
    if usage.attempts < FEW:
        words.append(f"seen {usage.attempts} {'time' if usage.attempts == 1 else 'times'} only")
    return Advice(needs, queue, words)


def _ram(usage: Usage) -> int:
    wanted = []
    if usage.memory is not None:
        wanted.append(math.ceil(round(usage.memory.most * (1 + SPARE), 6)))
    if usage.memory_had is not None:
        wanted.append(usage.memory_had + 1)
    return max(min(LEAST_RAM, usage.most.ram), *wanted) if wanted else usage.most.ram


def _cpus(usage: Usage) -> float:
    fewest = min(FEWEST_CPUS, usage.most.cpus)
    if usage.cpus is None:
        return usage.most.cpus
    return max(fewest, math.ceil(round(usage.cpus.p95 * (1 - SLACK) * 10, 6)) / 10)


def _fitting(needs: Resources, queues: Sequence[QueueLimits]) -> QueueLimits | None:
    try:
        return place(needs, queues)
    except PlacementError:
        return None


def _memory(usage: Usage, needs: Resources) -> Iterator[str]:
    asked = usage.most.ram
    if usage.out_of_memory:
        had = f" with {usage.memory_had} MiB" if usage.memory_had is not None else ""
        yield f"{usage.out_of_memory} of {usage.attempts} ran out of memory{had}: it needs {needs.ram} MiB or more"
    if usage.memory is None:
        if not usage.out_of_memory:
            yield "its memory was not measured, so its ask counts"
        return
    most = f"used {usage.memory.most:.0f} at most" if usage.memory.most >= 1 else "used less than 1"
    if asked >= LARGE * needs.ram:
        yield f"asks {asked} MiB, {most}: {needs.ram} MiB would do"
    elif usage.least.ram < usage.memory.most and not usage.out_of_memory:
        yield f"asks {_range(usage.least.ram, asked)} MiB, but {most}: {needs.ram} MiB would be safe"


def _cpu(usage: Usage, needs: Resources) -> Iterator[str]:
    if usage.cpus is not None and usage.most.cpus >= LARGE * needs.cpus:
        plural = "" if usage.most.cpus == 1 else "s"
        yield f"asks {usage.most.cpus:g} CPU{plural}, used {usage.cpus.p95:.1f}: {needs.cpus:g} would do"


def _verdict(
    usage: Usage, needs: Resources, queue: QueueLimits | None, queues: Sequence[QueueLimits]
) -> Iterator[str]:
    if queue is None:
        yield f"no queue holds {needs}"
        return
    now = _fitting(usage.most, queues)
    if now is None:
        yield f"{queue.name} would do; no queue holds the {usage.most} that it asks for"
    elif rank(queue) < rank(now):
        yield f"{queue.name} would do rather than {now.name}"
    elif rank(queue) > rank(now):
        yield f"{queue.name} would do, {now.name} is too small"
    else:
        yield f"{queue.name} is right"


def _range(least: float, most: float) -> str:
    return f"{least:.10g}" if least == most else f"{least:.10g} to {most:.10g}"
