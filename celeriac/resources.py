"""What a step asks for, what a queue holds, and which queue a step goes to. Pure values.

Queues have one order, from small to large (:func:`rank`): those without GPUs first, then by CPUs,
then by memory, then by GPUs, and by name where all of that is equal. A step goes to the first queue
of that order that holds it, so the order in which a file lists the queues never matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from celeriac.errors import PlacementError

#: The queue of the engine's own tasks (advance, settle, notify); no step is ever placed on it.
CONTROL_QUEUE = "celeriac"


@dataclass(frozen=True)
class Resources:
    """What one step needs while it runs (CWL v1.2 CommandLineTool, section ResourceRequirement)."""

    cpus: float  # cores; a fraction is allowed
    ram: int  # MiB
    gpus: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it for the journal: the keywords that make it again."""
        return {"cpus": self.cpus, "ram": self.ram, "gpus": self.gpus}

    def __str__(self) -> str:
        text = f"{_count(self.cpus, 'CPU')}, {self.ram} MiB"
        return f"{text}, {_count(self.gpus, 'GPU')}" if self.gpus else text


@dataclass(frozen=True)
class Ask:
    """What a step asks for, its expressions evaluated: the least it needs and the most it may use.

    CWL gives a range ("min" to "max", one standing for the other where only one is given). Where the
    document says nothing the least is CWL's default and there is no most: the queue's limit holds.
    """

    least: Resources
    cpus: float | None = None  # the most; None: the document says nothing of CPUs
    ram: int | None = None  # the most, MiB; None: the document says nothing of memory
    tmpdir: int = 0  # MiB; told to the tool, no queue limits it
    outdir: int = 0  # MiB
    queue: str | None = None  # the queue that a `celeriac:queue` hint names
    silent: bool = False  # no ResourceRequirement at all: a queue marked `default` is preferred

    def to_json(self) -> dict[str, Any]:
        """Return it for the journal; what is not set is left out."""
        most = {"cpus_max": self.cpus, "ram_max": self.ram, "queue": self.queue, "silent": self.silent or None}
        sizes = {"tmpdir": self.tmpdir or None, "outdir": self.outdir or None}
        return self.least.to_json() | {key: value for key, value in {**most, **sizes}.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ask:
        """Rebuild from :meth:`to_json`."""
        return cls(
            least=Resources(data["cpus"], data["ram"], data["gpus"]),
            cpus=data.get("cpus_max"),
            ram=data.get("ram_max"),
            tmpdir=data.get("tmpdir", 0),
            outdir=data.get("outdir", 0),
            queue=data.get("queue"),
            silent=data.get("silent", False),
        )


@dataclass(frozen=True)
class QueueLimits:
    """One queue: the most that one step on it may use."""

    name: str  # also the name of the broker's queue: `celery worker -Q NAME`
    cpus: float  # cores
    ram: int  # MiB
    gpus: int = 0
    priority: int | None = None  # 0 to 9: a worker of several queues looks at the highest first; None: 0
    max_runtime: float | None = None  # seconds a step may run; None: no limit
    default: bool = False  # preferred for steps that have no ResourceRequirement

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults, for the journal."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}

    def __str__(self) -> str:
        return f"{self.name} ({self.amounts})"

    @property
    def amounts(self) -> Resources:
        """What a step on it may use."""
        return Resources(self.cpus, self.ram, self.gpus)

    def holds(self, ask: Resources) -> bool:
        """Whether a step that asks for this may run here."""
        return ask.cpus <= self.cpus and ask.ram <= self.ram and ask.gpus <= self.gpus


@dataclass(frozen=True)
class Budget:
    """What one host may give to the steps that run on it at the same time."""

    cpus: float
    ram: int  # MiB
    gpus: tuple[str, ...] = ()  # ids

    def to_json(self) -> dict[str, Any]:
        """Return it for the journal and other programs."""
        return {"cpus": self.cpus, "ram": self.ram, "gpus": list(self.gpus)}

    def __str__(self) -> str:
        return str(Resources(self.cpus, self.ram, len(self.gpus)))


def rank(queue: QueueLimits) -> tuple[bool, float, int, int, str]:
    """Return the sort key of the order from the smallest queue to the largest.

    CPUs count before memory. A queue with GPUs is larger than every queue without: GPUs are scarce,
    so a step that asks for none gets such a queue only where nothing else holds it.
    """
    return (queue.gpus > 0, queue.cpus, queue.ram, queue.gpus, queue.name)


def largest(queues: Sequence[QueueLimits]) -> list[QueueLimits]:
    """Return, smallest first, the queues that no other queue exceeds in every dimension.

    There is more than one when a queue has more memory and another has more CPUs.
    """
    return sorted((q for q in queues if not any(_exceeds(other, q) for other in queues)), key=rank)


def place(
    ask: Resources,
    queues: Sequence[QueueLimits],
    chosen: str | None = None,
    *,
    prefer_default: bool = False,
    step: str = "",
) -> QueueLimits:
    """Return the smallest queue that holds the ask, or the chosen one if it holds it.

    ``prefer_default``: the queue marked ``default`` comes first, where it holds the ask.

    Raises :class:`~celeriac.errors.PlacementError`, which names the step, the ask and the largest
    queues: no queue holds it, the chosen one doesn't or is not there, or the ask is no amount.
    """
    _check(ask, step)
    if chosen is not None:
        return _take(chosen, ask, queues, step)
    holding = sorted((queue for queue in queues if queue.holds(ask)), key=rank)
    if not holding:
        raise _fits_none(ask, queues, step)
    marked = [queue for queue in holding if queue.default and prefer_default]
    return (marked or holding)[0]


def explain(
    ask: Resources, queues: Sequence[QueueLimits], chosen: str | None = None, *, prefer_default: bool = False
) -> list[tuple[QueueLimits, str]]:
    """Return every queue, smallest first, with the reason why :func:`place` takes it or not."""
    try:
        taken = place(ask, queues, chosen, prefer_default=prefer_default)
    except PlacementError:
        taken = None
    by_default = prefer_default and taken is not None and taken.default
    return [(queue, _reason(queue, ask, taken, chosen, by_default)) for queue in sorted(queues, key=rank)]


def _reason(
    queue: QueueLimits, ask: Resources, taken: QueueLimits | None, chosen: str | None, by_default: bool
) -> str:
    if not queue.holds(ask):
        return f"too small: {_lacks(queue, ask)}"
    if queue != taken:
        if chosen is not None:
            return f"holds it, but the step asks for {chosen}"
        return f"holds it, but {taken.name if taken else 'another'} is {'the default' if by_default else 'smaller'}"
    if chosen is not None:
        return "taken: the step asks for it by name"
    if by_default:
        return "taken: the default for steps that ask for nothing"
    if queue.gpus and not ask.gpus:
        return "taken: the smallest that holds it (no queue without GPUs does)"
    return "taken: the smallest that holds it"


# --- errors --------------------------------------------------------------------------------------


def _check(ask: Resources, step: str) -> None:
    # An expression may compute anything, and a negative ask would fit every queue.
    if not all(0 <= amount < math.inf for amount in (ask.cpus, ask.ram, ask.gpus)):
        raise PlacementError(
            f"{_named(step)} asks for {ask}; expected numbers that are finite and not negative",
            hint="Correct the step's ResourceRequirement, or the expression that computes it.",
            step=step,
            ask=str(ask),
        )


def _take(chosen: str, ask: Resources, queues: Sequence[QueueLimits], step: str) -> QueueLimits:
    queue = next((queue for queue in queues if queue.name == chosen), None)
    if queue is None:
        names = ", ".join(queue.name for queue in sorted(queues, key=rank)) or "none"
        raise PlacementError(
            f"{_named(step)} is to go to queue {chosen}, which does not exist; the queues are: {names}",
            hint="Choose one of these, or add the queue to the queue file.",
            **_fields(ask, queues, step, chosen),
        )
    if not queue.holds(ask):
        raise PlacementError(
            f"{_named(step)} asks for {ask}, which the chosen queue {queue} does not hold "
            f"({_lacks(queue, ask)}); {_the_largest(queues)}",
            hint="Choose a larger queue, or none to take the smallest that holds the step.",
            **_fields(ask, queues, step, chosen),
        )
    return queue


def _fits_none(ask: Resources, queues: Sequence[QueueLimits], step: str) -> PlacementError:
    return PlacementError(
        f"{_named(step)} asks for {ask}, which no queue holds; {_the_largest(queues)}",
        hint="Lower the step's ResourceRequirement, or add a larger queue to the queue file.",
        **_fields(ask, queues, step, None),
    )


def _fields(ask: Resources, queues: Sequence[QueueLimits], step: str, chosen: str | None) -> dict[str, Any]:
    return {
        "step": step,
        "cpus": ask.cpus,
        "ram": ask.ram,
        "gpus": ask.gpus,
        "chosen": chosen,
        "largest": [queue.name for queue in largest(queues)],
    }


def _named(step: str) -> str:
    return f"step {step}" if step else "the step"


def _the_largest(queues: Sequence[QueueLimits]) -> str:
    found = largest(queues)
    if not found:
        return "there are no queues"
    verb = "is" if len(found) == 1 else "are"
    return f"the largest {verb} " + " and ".join(str(queue) for queue in found)


def _lacks(queue: QueueLimits, ask: Resources) -> str:
    wanted = [
        (ask.cpus, queue.cpus, f"{_count(ask.cpus, 'CPU')} asked, {_plain(queue.cpus)} there"),
        (ask.ram, queue.ram, f"{ask.ram} MiB asked, {queue.ram} there"),
        (ask.gpus, queue.gpus, f"{_count(ask.gpus, 'GPU')} asked, {queue.gpus} there"),
    ]
    return "; ".join(text for asked, there, text in wanted if not asked <= there)


def _exceeds(one: QueueLimits, other: QueueLimits) -> bool:
    a, b = (one.cpus, one.ram, one.gpus), (other.cpus, other.ram, other.gpus)
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


def _count(amount: float, unit: str) -> str:
    return f"{_plain(amount)} {unit}" + ("" if amount == 1 else "s")


def _plain(amount: float) -> str:
    return str(amount).removesuffix(".0")
