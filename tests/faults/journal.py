"""What the journal says of a site's runs: one connection for the whole test, and patience while it is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import select

from celeriac.errors import JournalUnavailable
from celeriac.journal.database import Database
from celeriac.journal.tables import Record, attempts, nodes, runs
from celeriac.states import AttemptState, Outcome

T = TypeVar("T")

#: Seconds after which something hangs.
HANG = 120.0


def succeeded(attempt: Record) -> bool:
    """Whether an attempt brought a step's outputs."""
    return attempt.outcome == Outcome.SUCCESS and attempt.state in (AttemptState.REPORTED, AttemptState.SETTLED)


def until(what: Callable[[], T | None], otherwise: str, patience: float = HANG, pause: float = 0.05) -> T:
    """Return what a question is answered with at last; fails when it never is. A journal that is away is no answer."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except JournalUnavailable:
            pass
        time.sleep(pause)
    raise AssertionError(f"within {patience:.0f} s: {otherwise}")


class View:
    """Reads a journal."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def close(self) -> None:
        """Close the connection."""
        self.database.close()

    def run(self, run: str) -> Record:
        """Return a run's row."""
        return self._all(select(runs).where(runs.c.id == run))[0]

    def runs(self) -> list[str]:
        """Return the ids of all runs."""
        return [row.id for row in self._all(select(runs.c.id))]

    def nodes(self, run: str) -> Sequence[Record]:
        """Return a run's nodes."""
        return self._all(select(nodes).where(nodes.c.run_id == run).order_by(nodes.c.created, nodes.c.path))

    def attempts(self, run: str) -> Sequence[Record]:
        """Return a run's attempts, oldest first."""
        order = (attempts.c.created, attempts.c.path, attempts.c.number)
        return self._all(select(attempts).where(attempts.c.run_id == run).order_by(*order))

    def attempt_names(self) -> set[str]:
        """Return the ids of all attempts of all runs."""
        return {row.id for row in self._all(select(attempts.c.id))}

    def running(self, run: str) -> list[Record]:
        """Return the attempts that a worker has in hand."""
        return [attempt for attempt in self.attempts(run) if attempt.state == AttemptState.RUNNING]

    def done(self, run: str) -> int:
        """Count the attempts that succeeded."""
        return sum(map(succeeded, self.attempts(run)))

    def _all(self, statement: object) -> Sequence[Record]:
        with self.database.read() as connection:
            return connection.execute(statement).all()  # type: ignore[call-overload,no-any-return]
