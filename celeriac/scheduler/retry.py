"""What follows an attempt's report: another attempt, and when, or the end. Policies are values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from celeriac.graph.model import Retry
from celeriac.states import Outcome


class Verdict(StrEnum):
    """What the scheduler makes of a report."""

    SUCCEED = "succeed"
    RETRY = "retry"
    CLIMB = "climb"  # try again with more memory, where there is more
    FAIL = "fail"
    CANCEL = "cancel"


class Cause(StrEnum):
    """Why an attempt brought nothing. Each has a cap of its own."""

    LOST = "lost"  # its worker died or stopped answering
    ENGINE = "engine"  # the container engine went away, and with it the tool or its output
    KILLED = "killed"  # somebody or something ended the tool from outside
    HOST = "host"  # the host could not give what the step was granted, or had no room
    FAULT = "fault"  # a fault of Celeriac's own
    INTERRUPTED = "interrupted"  # its worker was told to end, and handed it back
    TEMPORARY = "temporary"  # the tool's own word that a retry may help
    MEMORY = "memory"  # it used more than it had
    TOOL = "tool"  # the tool's own failure: running it again won't help
    CANCELED = "canceled"


#: Those that say nothing about the tool.
INFRASTRUCTURE = frozenset({Cause.LOST, Cause.ENGINE, Cause.KILLED, Cause.HOST, Cause.FAULT})
#: The next attempt goes out at once: the tool did not even fail, or has more memory now.
_AT_ONCE = frozenset({Cause.INTERRUPTED, Cause.MEMORY})
_OF_ERROR = {
    "EngineUnreachable": Cause.ENGINE,
    "NameTaken": Cause.ENGINE,
    "KilledFromOutside": Cause.KILLED,
    "StepFailed": Cause.FAULT,
}
_OF_OUTCOME = {
    Outcome.PERMANENT: Cause.TOOL,
    Outcome.TEMPORARY: Cause.TEMPORARY,
    Outcome.OUT_OF_MEMORY: Cause.MEMORY,
    Outcome.HANDED_BACK: Cause.INTERRUPTED,
}


def cause(outcome: Outcome, error: Mapping[str, Any] | None, *, wanted: bool) -> Cause | None:
    """Return why an attempt brought nothing, None when it succeeded.

    ``error`` is the report's (:meth:`celeriac.errors.CeleriacError.to_dict`). ``wanted``: nobody
    cancelled the run or the step, so that a tool which its worker stopped was lost with that worker.
    """
    if outcome is Outcome.SUCCESS:
        return None
    if outcome is Outcome.CANCELED:
        return Cause.LOST if wanted else Cause.CANCELED
    if outcome is Outcome.INFRASTRUCTURE:
        return _OF_ERROR.get((error or {}).get("type", ""), Cause.HOST)
    return _OF_OUTCOME[outcome]


@dataclass(frozen=True)
class RetryPolicy:
    """How many attempts a step gets for each cause, and the pauses between them."""

    infrastructure: int = 3  # for each cause that says nothing about the tool
    temporary: int = 3  # the tool's temporaryFailCodes
    memory_ladder: bool = True  # out of memory: the next larger queue
    delay: float = 1.0  # seconds before the second attempt; twice as long before each further one
    most: float = 300.0  # seconds, the longest pause

    def decide(self, found: Cause | None, times: int, own: Retry | None = None) -> Verdict:
        """Judge an attempt that is the ``times``-th of its step with this cause (the first is 1)."""
        if found is None:
            return Verdict.SUCCEED
        if found is Cause.CANCELED:
            return Verdict.CANCEL
        if found is Cause.INTERRUPTED:
            return Verdict.RETRY
        if found is Cause.MEMORY:
            return Verdict.CLIMB if self.memory_ladder else Verdict.FAIL
        return Verdict.RETRY if times < self.cap(found, own) else Verdict.FAIL

    def cap(self, found: Cause, own: Retry | None = None) -> int:
        """Return how many attempts may end with this cause."""
        if found in INFRASTRUCTURE:
            return self.infrastructure
        if found is Cause.TEMPORARY:
            return own.attempts if own and own.attempts is not None else self.temporary
        return 1

    def pause(self, found: Cause, times: int, own: Retry | None = None) -> float:
        """Return the seconds before the attempt that follows the ``times``-th with this cause."""
        if found in _AT_ONCE:
            return 0.0
        first = own.delay if own and own.delay is not None else self.delay
        return float(min(self.most, first * 2.0 ** min(times - 1, 30)))
