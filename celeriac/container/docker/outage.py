"""How long an engine has not answered, and when to ask it again. Times are handed in."""

from __future__ import annotations

#: Seconds between two tries, at first and at most.
FIRST, MOST = 0.1, 5.0


class Outage:
    """The silence of one engine."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._tries = 0

    @property
    def lasts(self) -> bool:
        """Whether the last try failed."""
        return self._since is not None

    def over(self) -> None:
        """Say that the engine answered."""
        self._since, self._tries = None, 0

    def pause(self, now: float) -> float:
        """Say that the engine did not answer; return the seconds until the next try."""
        if self._since is None:
            self._since = now
        self._tries += 1
        return min(MOST, FIRST * 2.0 ** min(self._tries - 1, 10))

    def seconds(self, now: float) -> float:
        """Return how long it has been silent."""
        return 0.0 if self._since is None else now - self._since
