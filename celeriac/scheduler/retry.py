"""What follows an attempt's report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from celeriac.states import Outcome


class Verdict(StrEnum):
    """What the scheduler makes of a report."""

    SUCCEED = "succeed"
    RETRY = "retry"
    CLIMB = "climb"  # try again with more memory, where there is more
    FAIL = "fail"
    CANCEL = "cancel"


@dataclass(frozen=True)
class RetryPolicy:
    """How many attempts a step gets, by cause. A permanent failure is never tried again."""

    infrastructure: int = 3  # worker, engine or host failed: never the tool's fault
    temporary: int = 1  # the tool's temporaryFailCodes
    memory_ladder: bool = True  # out of memory: the next larger queue

    def decide(self, outcome: Outcome, number: int) -> Verdict:
        """Judge the ``number``-th report with this outcome of one step (the first is 1)."""
        if outcome is Outcome.SUCCESS:
            return Verdict.SUCCEED
        if outcome is Outcome.CANCELED:
            return Verdict.CANCEL
        if outcome is Outcome.OUT_OF_MEMORY and self.memory_ladder:
            return Verdict.CLIMB
        cap = {Outcome.INFRASTRUCTURE: self.infrastructure, Outcome.TEMPORARY: self.temporary}.get(outcome, 1)
        return Verdict.RETRY if number < cap else Verdict.FAIL
