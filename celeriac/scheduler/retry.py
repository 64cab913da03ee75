"""What follows an attempt's report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from celeriac.states import Outcome


class Verdict(StrEnum):
    """What the scheduler makes of a report."""

    SUCCEED = "succeed"
    RETRY = "retry"
    FAIL = "fail"
    CANCEL = "cancel"


@dataclass(frozen=True)
class RetryPolicy:
    """How many attempts a step gets, by cause. A permanent failure is never tried again."""

    infrastructure: int = 3  # worker, engine or host failed: never the tool's fault
    temporary: int = 1  # the tool's temporaryFailCodes

    def decide(self, outcome: Outcome, number: int) -> Verdict:
        """Judge attempt ``number`` (the first is 1)."""
        if outcome is Outcome.SUCCESS:
            return Verdict.SUCCEED
        if outcome is Outcome.CANCELED:
            return Verdict.CANCEL
        cap = {Outcome.INFRASTRUCTURE: self.infrastructure, Outcome.TEMPORARY: self.temporary}.get(outcome, 1)
        return Verdict.RETRY if number < cap else Verdict.FAIL
