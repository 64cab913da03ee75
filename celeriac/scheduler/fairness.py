"""How much of one run is under way at a time, so that another run's steps come through. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Seconds of one run's waiting work that another run's steps may find before them in a queue.
PATIENCE = 5.0
#: Seconds of work that go in one message, about: so a message costs little beside its work, and a slot is soon free.
BUNDLE = 0.1
#: Slots to reckon with while no worker has told of its own.
UNKNOWN = 2


@dataclass(frozen=True)
class Width:
    """How a scatter goes out."""

    window: int  # items under way
    chord: int  # items in one chord: its next items go out when the last of them has ended
    bundle: int = 1  # items in one message, done one after another


def width(slots: int, seconds: float | None, most_window: int, most_chord: int) -> Width:
    """Return how much of a scatter to have under way on queues with so many slots.

    ``seconds`` is what an item takes, None while that isn't known. At least two items a slot, so that
    none idles while the next ones are sent; beyond that as many as are done within :data:`PATIENCE`.
    """
    slots = slots if slots > 0 else UNKNOWN
    least = 2 * slots
    window = least
    if seconds is not None:
        waiting = slots * PATIENCE / max(seconds, 1e-3)
        window = max(least, min(most_window, slots + math.floor(waiting)))
    # the items of a chord are replaced together: with a few only, slots would idle till its last one ends
    chord = max(1, min(most_chord, window // 4))
    return Width(window, chord, _bundle(slots, seconds, window, chord))


def _bundle(slots: int, seconds: float | None, window: int, chord: int) -> int:
    """Return how many items go in one message: no more than leaves two messages of the window to each slot."""
    if seconds is None:
        return 1
    return max(1, min(chord, window // (2 * slots), math.floor(BUNDLE / max(seconds, 1e-3))))


def share(window: int, scatters: int) -> int:
    """Return the part of a run's window that each of its scatters has."""
    return max(1, window // max(1, scatters))
