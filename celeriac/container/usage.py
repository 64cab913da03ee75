"""What a tool used, by looks at it while it runs.

``peak_memory`` is what the tool needed at its worst: memory that the kernel could not have dropped, that is
anonymous and shared memory. The page cache is left out, though a limit counts it: a tool that reads a
large file fills whatever it is given with it, and runs as well in less. Since a short burst falls between
two looks, the kernel's high-water mark of all that was charged is used too, less the most that was seen
to be droppable. So the number is never above the limit nor above the high-water mark; it can be too low
for a burst beside a cache that was larger before, and too high where a large file was read and removed
between two looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celeriac.container.cgroup.reading import Reading
from celeriac.errors import CommandNotFound, ContainerError

#: Seconds from the start, or a look at it, until the next one, and at most between two.
FIRST, MOST = 0.02, 1.0
#: Bytes below its limit at which a group has no more to give.
_NEAR = 2 * 2**20


class Usage:
    """The highest numbers seen so far. ``read`` looks, None: nothing can be seen; ``limit`` is in bytes.

    ``at_start``: whether the first look is at once, since what is looked at may be gone at the end.
    """

    def __init__(self, read: Callable[[], Reading | None], limit: int | None = None, *, at_start: bool = True) -> None:
        self.cpu_seconds: float | None = None
        self.oom_kills = 0
        self.at_limit = False
        self._read = read
        self._limit = limit
        self._needed: int | None = None
        self._droppable = 0
        self._high_water: int | None = None
        self._interval, self._most = FIRST, MOST
        self._next: float | None = 0.0 if at_start else None

    def look(self, now: float) -> float:
        """Look if it is time to; return the seconds until the next look. The first call is at the start."""
        if self._next is None:
            self._next = now + self._interval
        if now >= self._next:
            self.look_now()
            self._next = now + self._interval
            self._interval = min(self._most, self._interval * 2)
        return self._next - now

    def look_now(self) -> None:
        """Look, whatever the time."""
        reading = self._read()
        if reading is not None:
            self.take(reading)

    def every(self, seconds: float) -> None:
        """Look so often, no more and no less."""
        self._interval = self._most = seconds

    def take(self, reading: Reading) -> None:
        """Add what was seen."""
        needed = reading.used if reading.needed is None else reading.needed
        if needed is not None:
            self._needed = max(needed, self._needed or 0)
            self._droppable = max(self._droppable, (reading.used or 0) - needed)
        if reading.high_water is not None:
            self._high_water = max(reading.high_water, self._high_water or 0)
            # version 1 counts no failures of late: what came as near as one huge page was there
            self.at_limit |= bool(self._limit) and self._high_water >= (self._limit or 0) - _NEAR
        if reading.cpu_seconds is not None:
            self.cpu_seconds = max(reading.cpu_seconds, self.cpu_seconds or 0.0)
        self.oom_kills = max(self.oom_kills, reading.oom_kills)
        self.at_limit = self.at_limit or reading.at_limit

    @property
    def peak_memory(self) -> int | None:
        """The most bytes that the tool needed at a time; None: it was over before anything was seen."""
        if self._needed is None:
            return None
        peak = max(self._needed, (self._high_water or 0) - self._droppable)
        return (min(peak, self._limit) if self._limit else peak) or None


def note(error: ContainerError, peak_memory: int | None, cpu_seconds: float | None) -> ContainerError:
    """Write what a tool used into the error that ended it, where it is known; return the error."""
    known = {"peak_memory": peak_memory, "cpu_seconds": cpu_seconds}
    for key, value in known.items():
        if value is not None:
            error.fields.setdefault(key, value)
    return error


@contextmanager
def telling(usage: Usage) -> Iterator[None]:
    """Write what was used into an error that ends a tool that did run."""
    try:
        yield
    except CommandNotFound:
        raise
    except ContainerError as error:
        note(error, usage.peak_memory, usage.cpu_seconds)
        raise
