"""Whether a target is reached is said of medians, and of nothing that was not measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import gauges, works
from benchmarks.outcomes import Reading, Result
from benchmarks.targets import FIGURES, GROWTH, MEMORY, OURS, TIME, Verdict, judge
from tests.unit.benchmark_outcomes import result


def _one(results: list[Result], what: str) -> Verdict:
    found = [verdict for verdict in judge(results) if what in verdict.what]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("ours", "word"), [(1.0, "ok"), (1.01, "miss")])
def test_the_ratio_of_medians_counts(ours: float, word: str) -> None:
    verdict = _one([result("startup", OURS, 9, ours, 0), result("startup", "cwltool", 1, 1, 8)], "cwltool")
    assert (verdict.value, verdict.word) == (ours, word)


def test_a_peer_that_is_no_baseline_has_a_ratio_and_no_verdict() -> None:
    verdict = _one([result("startup", OURS, 2), result("startup", "toil", 8)], "toil")
    assert (verdict.value, verdict.limit, verdict.word) == (0.25, None, "")


def test_what_we_failed_at_is_a_miss() -> None:
    failed = result("startup", OURS, 1, note="failed: exit 1")
    assert _one([failed, result("startup", "cwltool", 1)], "cwltool").word == "miss"


def test_what_the_baseline_did_not_do_says_nothing() -> None:
    missing = result("startup", "cwltool", note="not installed")
    assert _one([result("startup", OURS, 1), missing], "cwltool").word == ""


def test_a_start_is_no_part_of_an_item() -> None:
    results = [result("startup", OURS, 1), result("scatter-1000", OURS, 3), result("scatter-10000", OURS, 24)]
    verdict = _one(results, "cost per item")
    assert verdict.value == pytest.approx(23 / 20)
    assert verdict.word == "ok"
    assert _one(results[1:], "cost per item").word == "", "without a start it can't be said"


def test_memory_is_ours_at_many_items_over_few() -> None:
    results = [result("scatter-100", OURS, 1, mib=60), result("scatter-10000", OURS, 1, mib=91)]
    assert _one(results, "peak memory").word == "miss"
    assert _one(results[1:], "peak memory").word == ""


def test_a_gauge_is_judged_by_the_medians_of_its_turns() -> None:
    name, limit = next(iter(FIGURES.items()))
    turns = [{name[1]: limit * factor, "another": 1.0} for factor in (0.5, 1.0, 9.0)]
    verdicts = judge([], [Reading(name[0], turns)])
    assert {v.what: v.word for v in verdicts} == {name[1]: "ok", "another": ""} | _others(name, verdicts)


def _others(name: tuple[str, str], verdicts: list[Verdict]) -> dict[str, str]:
    """The figures of the gauge that have a target and were not read off: they are named too."""
    missing = {what for gauge, what in FIGURES if gauge == name[0]} - {name[1]}
    assert missing <= {v.what for v in verdicts if v.value is None}
    return dict.fromkeys(missing, "")


def test_a_gauge_that_failed_misses_and_one_that_could_not_be_read_does_not() -> None:
    gauge = next(iter(FIGURES))[0]
    for note, word in (("failed: TimeoutError", "miss"), ("not measured: no redis-server", "")):
        found = judge([], [Reading(gauge, [], note)])
        assert found and {v.word for v in found} == {word}


def test_the_targets_are_about_what_is_measured() -> None:
    sizes = {work.name for work in map(works.parse, works.DEFAULT.split(","))}
    dials = {gauge.name for gauge in map(gauges.parse, gauges.DEFAULT.split(","))}
    kind, large, small, _ = GROWTH
    assert {*TIME, *MEMORY[:2], f"{kind}-{large}", f"{kind}-{small}"} <= sizes
    assert {gauge for gauge, _ in FIGURES} == dials


@given(st.lists(st.floats(0.001, 1e6), min_size=1), st.lists(st.floats(0.001, 1e6), min_size=1))
def test_a_verdict_is_ok_exactly_where_the_ratio_is_within_its_limit(ours: list[float], theirs: list[float]) -> None:
    verdict = _one([result("chain-50", OURS, *ours), result("chain-50", "cwltool", *theirs)], "cwltool")
    assert verdict.value is not None and verdict.limit is not None
    assert (verdict.word == "ok") == (verdict.value <= verdict.limit)
