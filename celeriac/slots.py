"""The contract between the engine and a host's slots: a step takes what it was granted, or waits.

``queues/`` implements it with a ledger that all workers of a host share. :class:`Unbounded` grants all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from celeriac.resources import Resources

_JOINT = "+"


def bundle_name(attempts: Sequence[str]) -> str:
    """Return the name of the slot that attempts share which run one after another."""
    return _JOINT.join(attempts)


def attempts_of(name: str) -> list[str]:
    """Return the attempts that a slot was taken for, the first one first."""
    return name.split(_JOINT)


@dataclass(frozen=True)
class Slot:
    """What a step has of its host, beside the amounts that it asked for."""

    gpus: tuple[str, ...] = ()  # ids of the GPUs that are its own


class Slots(Protocol):
    """What one host has to give. Safe to use from many threads and after a fork."""

    def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
        """Take ``wanted`` for the attempt or bundle ``name``; waits until the host has it.

        ``still`` is asked now and then whether it is wanted still; None once it is not. Raises
        :class:`~celeriac.errors.HostTooSmall` when the whole host could never hold it.
        """

    def give_back(self, name: str) -> None:
        """Give back what ``name`` took; nothing where it took nothing."""

    def close(self) -> None:
        """Let go of files; what was taken is given back."""


class Unbounded:
    """Slots without bounds: for tests of others, and where somebody else does the counting."""

    def take(self, name: str, wanted: Resources, still: Callable[[], bool]) -> Slot | None:
        """Grant it at once; GPUs are numbered from 0."""
        return Slot(tuple(str(number) for number in range(wanted.gpus)))

    def give_back(self, name: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
