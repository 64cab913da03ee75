"""What the faults did: a line each, printed when all are done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from celeriac.journal.tables import Record
from tests.faults.journal import succeeded

HEADINGS = ("fault", "times injected", "outcomes equal", "containers left", "longest recovery")


@dataclass
class Fault:
    """One kind of fault, as often as it was done."""

    kind: str  # process, broker, database, ...
    name: str
    moments: list[float] = field(default_factory=list)  # when it was done, in seconds since the epoch
    outcome: str = ""  # "yes": as without a fault; else what came of it
    left: int = 0  # containers and processes
    recovery: float | None = None  # the longest, in seconds
    passed: bool = False

    def injected(self) -> None:
        """Say that it is done now."""
        self.moments.append(time.time())

    def recovered(self, ended: Sequence[Record], run: Record) -> None:
        """Take note of how long it took till each step that was hit had succeeded, or else any did."""
        # where one fault follows another, a step that is hit again and again says nothing of either
        strict = self.kind != "random"
        during = [moment for moment in self.moments if run.created <= moment <= run.ended]
        seconds = [_recovery(moment, ended, run, strict=strict) for moment in during]
        self.recovery = max([*seconds, self.recovery or 0.0])

    @property
    def cells(self) -> tuple[str, ...]:
        """Its line."""
        recovery = "-" if self.recovery is None else f"{self.recovery:.1f} s"
        outcome = self.outcome if self.passed else f"{self.outcome or 'not known'} (test failed)"
        return (f"{self.kind}: {self.name}", str(len(self.moments)), outcome, str(self.left), recovery)


def _recovery(moment: float, ended: Sequence[Record], run: Record, *, strict: bool) -> float:
    hit = {
        attempt.path
        for attempt in ended
        if not succeeded(attempt) and attempt.created <= moment and (attempt.ended is None or attempt.ended >= moment)
    }
    after = [attempt for attempt in ended if succeeded(attempt) and attempt.ended >= moment]
    again = [attempt.ended for attempt in after if attempt.path in hit] if strict else []
    ends = [max(again)] if again else [attempt.ended for attempt in after] + [run.ended]
    return max(0.0, float(min(ends)) - moment)


def table(faults: Sequence[Fault]) -> list[str]:
    """Return the lines of the table."""
    rows = [HEADINGS, *(fault.cells for fault in faults)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
