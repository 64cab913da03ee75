"""The report: what was measured comes out of its JSON as it went in, and the tables show it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.growth import Growth
from benchmarks.outcomes import Reading
from benchmarks.report import Report
from benchmarks.tables import Sheet, number
from benchmarks.targets import OURS
from tests.unit.benchmark_outcomes import result

MACHINE = {"cores": 2, "date": "2026-01-01", "versions": {"celeriac": "1"}}
RESULTS = [
    result("startup", OURS, 1.5, 2.5),
    result("startup", "cwltool", 1),
    result("startup", "toil", note="not installed"),
    result("chain-50", OURS, 3, note="failed: exit 1"),
    result("chain-50", "cwltool", 4),
    result("chain-50", "toil", note="skipped: slow"),
]
READINGS = [Reading("latency-200", [{"step to step, p50, ms": 7.0}]), Reading("empty-1000", [], "failed: Failed")]
REPORT = Report(MACHINE, RESULTS, READINGS)


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "new")
    assert Report.load(tmp_path / "new") == REPORT


def test_all_runners_stand_side_by_side() -> None:
    head, *rows = REPORT.side_by_side().rows
    assert head == ["work", "Celeriac", "cwltool --parallel", "ratio", "at most", "Toil"]
    assert rows == [
        ["the startup", "2.00", "1.00", "**2.00**", "1.00", "not installed"],
        ["the chain-50", "failed: exit 1", "4.00", "-", "1.00", "skipped: slow"],
    ]


def test_runners_without_a_baseline_have_no_ratio() -> None:
    assert Report(MACHINE, RESULTS[:1]).side_by_side().rows == [["work", "Celeriac"], ["the startup", "2.00"]]


def test_a_peer_that_failed_some_turns_has_the_median_of_the_others_and_a_note(tmp_path: Path) -> None:
    peer = result("startup", "cwltool", 1, 3, failures=["exit 1", "exit 1"])
    results = [result("startup", OURS, 1), peer, result("startup", "toil", note="failed: exit 2")]
    report = Report(MACHINE, results, [])
    sheet = report.side_by_side()
    assert sheet.rows[1] == ["the startup", "1.00", "2.00", "0.50", "1.00", "failed: exit 2"]
    (note,) = sheet.notes
    assert note.startswith("cwltool --parallel failed in 2 of 4 turns at 'the startup' (exit 1);")
    assert not report.missed
    report.save(tmp_path)
    assert Report.load(tmp_path) == report
    assert f"|\n\n{note}\n" in (tmp_path / "latest.md").read_text()


def test_the_page_names_what_was_not_read_off(tmp_path: Path) -> None:
    REPORT.save(tmp_path)
    page = (tmp_path / "latest.md").read_text()
    assert "| latency-200 | step to step, p50, ms | 7.00 | 10.0 | ok |" in page
    assert "| empty-1000 | failed: Failed | - | - | - |" in page
    assert "versions: celeriac 1" in page


def test_json_has_each_run_and_each_verdict() -> None:
    data = json.loads(json.dumps(REPORT.to_dict()))
    assert [run["seconds"] for run in data["results"][0]["runs"]] == [1.5, 2.5]
    assert {figure["verdict"] for figure in data["figures"]} == {"ok", "miss", ""}


def test_something_missed_is_missed() -> None:
    assert REPORT.missed
    assert not Report(MACHINE, [result("startup", OURS, 1), result("startup", "cwltool", 1)]).missed
    assert Report(MACHINE, [], READINGS[1:]).missed, "a gauge that failed is no success"


def test_growth_comes_back_and_shows_what_an_item_and_a_run_cost(tmp_path: Path) -> None:
    scatters = [result("scatter-100", OURS, 2, mib=70), result("scatter-1000", OURS, note="failed: exit 1")]
    runs = [Reading("runs-10", [{"seconds": 4.0, "a run, ms": 400.0}]), Reading("runs-100", [], "failed: TimeoutError")]
    growth = Growth(MACHINE, result("startup", OURS, 1), scatters, runs)
    growth.save(tmp_path)
    assert Growth.load(tmp_path) == growth
    items, many = (sheet.rows[1:] for sheet in growth.sheets())
    assert items == [["100", "2.00", "10.0", "70.0"], ["1,000", "failed: exit 1", "-", "-"]]
    assert many == [["10", "4.00", "400"], ["100", "failed: TimeoutError", "-"]]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0444, "0.044"), (0.123, "0.12"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_a_figure_has_the_digits_that_it_is_worth(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_cell_can_not_break_a_table() -> None:
    assert Sheet("t", [["a", "b"], ["x|y", "1"]]).markdown() == "| a | b |\n| --- | ---: |\n| x/y | 1 |"
