"""What follows a report: success, another attempt, or the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.scheduler.retry import RetryPolicy, Verdict
from celeriac.states import Outcome

NUMBERS = st.integers(1, 20)
POLICIES = st.builds(RetryPolicy, infrastructure=NUMBERS, temporary=NUMBERS)


@given(POLICIES, NUMBERS)
def test_the_causes_have_caps_of_their_own(policy: RetryPolicy, number: int) -> None:
    caps = {Outcome.INFRASTRUCTURE: policy.infrastructure, Outcome.TEMPORARY: policy.temporary}
    for outcome, cap in caps.items():
        assert policy.decide(outcome, number) is (Verdict.RETRY if number < cap else Verdict.FAIL)


@given(POLICIES, NUMBERS)
def test_the_tools_own_failure_is_never_tried_again(policy: RetryPolicy, number: int) -> None:
    assert policy.decide(Outcome.PERMANENT, number) is Verdict.FAIL
    assert policy.decide(Outcome.SUCCESS, number) is Verdict.SUCCEED
    assert policy.decide(Outcome.CANCELED, number) is Verdict.CANCEL


@pytest.mark.parametrize("outcome", Outcome)
def test_a_cap_of_one_is_no_retry(outcome: Outcome) -> None:
    assert RetryPolicy(infrastructure=1, temporary=1).decide(outcome, 1) is not Verdict.RETRY
