"""What follows a report: success, another attempt and when, or the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.graph.model import Retry
from celeriac.scheduler.retry import INFRASTRUCTURE, Cause, RetryPolicy, Verdict, cause
from celeriac.states import Outcome

NUMBERS = st.integers(1, 20)
POLICIES = st.builds(
    RetryPolicy, infrastructure=NUMBERS, temporary=NUMBERS, delay=st.floats(0, 100), most=st.floats(0, 1000)
)
CAUSES = st.sampled_from(Cause)


@given(POLICIES, NUMBERS, st.sampled_from(sorted(INFRASTRUCTURE)))
def test_each_cause_that_is_not_the_tools_has_the_cap_of_infrastructure(
    policy: RetryPolicy, number: int, found: Cause
) -> None:
    assert policy.decide(found, number) is (Verdict.RETRY if number < policy.infrastructure else Verdict.FAIL)


@given(POLICIES, NUMBERS, st.none() | NUMBERS)
def test_a_step_may_say_how_often_a_temporary_failure_is_tried(
    policy: RetryPolicy, number: int, own: int | None
) -> None:
    cap = policy.temporary if own is None else own
    verdict = policy.decide(Cause.TEMPORARY, number, Retry(attempts=own))
    assert verdict is (Verdict.RETRY if number < cap else Verdict.FAIL)
    assert policy.decide(Cause.LOST, number, Retry(attempts=own)) is policy.decide(Cause.LOST, number)


@given(POLICIES, NUMBERS)
def test_some_causes_have_one_answer(policy: RetryPolicy, number: int) -> None:
    assert policy.decide(None, number) is Verdict.SUCCEED
    assert policy.decide(Cause.TOOL, number) is Verdict.FAIL
    assert policy.decide(Cause.CANCELED, number) is Verdict.CANCEL
    assert policy.decide(Cause.INTERRUPTED, number) is Verdict.RETRY
    assert policy.decide(Cause.MEMORY, number) is Verdict.CLIMB


@given(POLICIES, NUMBERS, CAUSES)
def test_pauses_grow_up_to_the_longest(policy: RetryPolicy, number: int, found: Cause) -> None:
    pauses = [policy.pause(found, times) for times in range(1, number + 1)]
    assert pauses == sorted(pauses)
    assert all(0 <= pause <= policy.most for pause in pauses)
    if found in (Cause.INTERRUPTED, Cause.MEMORY):
        assert not any(pauses)


def test_a_pause_doubles_from_the_steps_own_delay() -> None:
    policy = RetryPolicy(delay=1, most=300)
    assert [policy.pause(Cause.ENGINE, times) for times in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert [policy.pause(Cause.TEMPORARY, times, Retry(delay=10)) for times in (1, 2, 6)] == [10, 20, 300]


@pytest.mark.parametrize(
    ("outcome", "error", "wanted", "expected"),
    [
        (Outcome.SUCCESS, None, True, None),
        (Outcome.PERMANENT, "StepFailed", True, Cause.TOOL),
        (Outcome.TEMPORARY, "StepFailed", True, Cause.TEMPORARY),
        (Outcome.OUT_OF_MEMORY, "OutOfMemory", True, Cause.MEMORY),
        (Outcome.HANDED_BACK, "Cancelled", True, Cause.INTERRUPTED),
        (Outcome.CANCELED, "Cancelled", True, Cause.LOST),
        (Outcome.CANCELED, "Cancelled", False, Cause.CANCELED),
        (Outcome.INFRASTRUCTURE, "EngineUnreachable", True, Cause.ENGINE),
        (Outcome.INFRASTRUCTURE, "NameTaken", True, Cause.ENGINE),
        (Outcome.INFRASTRUCTURE, "KilledFromOutside", True, Cause.KILLED),
        (Outcome.INFRASTRUCTURE, "HostTooSmall", True, Cause.HOST),
        (Outcome.INFRASTRUCTURE, "StepFailed", True, Cause.FAULT),
        (Outcome.INFRASTRUCTURE, None, True, Cause.HOST),
    ],
)
def test_the_cause_follows_from_outcome_and_error(
    outcome: Outcome, error: str | None, wanted: bool, expected: Cause | None
) -> None:
    assert cause(outcome, {"type": error} if error else None, wanted=wanted) is expected


@given(st.sampled_from(Outcome), st.booleans())
def test_every_outcome_has_a_cause(outcome: Outcome, wanted: bool) -> None:
    assert (cause(outcome, None, wanted=wanted) is None) == (outcome is Outcome.SUCCESS)
