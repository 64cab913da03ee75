"""Turns that fail: what becomes of a runner's figures, and whether it gets another turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.outcomes import Result
from benchmarks.targets import BASELINE, OURS
from benchmarks.turns import CHANCES, add, goes_on
from tests.unit.benchmark_outcomes import run

REASONS = st.sampled_from(["failed: exit 1", "failed: no output object with 'out'", "failed: not ended after 9 s"])
TURNS = st.lists(st.one_of(st.floats(0.1, 9), REASONS), min_size=1, max_size=8)


def _taken(runner: str, turns: list[float | str]) -> tuple[Result, list[float | str]]:
    """Return what turns amount to, and those that the runner got."""
    result, got = Result("startup", runner), []
    for turn in turns:
        if goes_on(result):
            add(result, None, turn) if isinstance(turn, str) else add(result, run(turn), "")
            got.append(turn)
    return result, got


@given(TURNS)
def test_we_fail_once_and_have_failed(turns: list[float | str]) -> None:
    result, got = _taken(OURS, turns)
    wrong = [turn for turn in turns if isinstance(turn, str)]
    assert result.failed == bool(wrong) and result.note == (wrong[0] if wrong else "")
    assert len(got) == (turns.index(wrong[0]) + 1 if wrong else len(turns))
    assert (result.seconds is None) == bool(wrong)


@given(TURNS)
def test_a_peer_that_was_right_once_has_figures(turns: list[float | str]) -> None:
    result, got = _taken(BASELINE, turns)
    right = [turn for turn in got if isinstance(turn, float)]
    assert [one.seconds for one in result.runs] == right
    assert result.failures == [turn.removeprefix("failed: ") for turn in got if isinstance(turn, str)]
    assert result.failed == (not right) == (result.seconds is None)
    assert not right or result.note == ""


@pytest.mark.parametrize(
    ("turns", "got"),
    [
        (["failed: exit 1"] * 5, CHANCES),
        (["failed: exit 1", 1.0, "failed: exit 1", "failed: exit 1", 2.0], 5),
        (["failed: not ended after 900 s", 1.0], 1),
        ([1.0, "failed: not ended after 900 s", 1.0], 2),
    ],
)
def test_a_peer_gets_more_turns_unless_it_always_fails_or_takes_too_long(turns: list[float | str], got: int) -> None:
    assert len(_taken(BASELINE, turns)[1]) == got


@pytest.mark.parametrize("note", ["not installed", "skipped: slow"])
def test_who_is_left_out_gets_no_turn(note: str) -> None:
    assert not goes_on(Result("startup", BASELINE, note=note))
