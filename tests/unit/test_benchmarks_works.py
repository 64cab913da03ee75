"""Works and gauges: what their names mean, what a run of them has to leave, what is read off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import gauges, works
from benchmarks.gauges import latency
from benchmarks.runners import Celeriac, Cwltool, Room, Runner, Toil
from benchmarks.turns import Limits, plan
from benchmarks.verify import failure
from tests.unit.benchmark_outcomes import run


@pytest.mark.parametrize("spec", [*works.DEFAULT.split(","), "load:2", "containers-reused:3"])
def test_a_work_writes_what_it_names(spec: str, tmp_path: Path) -> None:
    case = works.parse(spec).write(tmp_path, 7)
    assert json.loads(case.document.read_text())["cwlVersion"] == "v1.2"
    assert json.loads(case.job.read_text())


@pytest.mark.parametrize("spec", ["", "chain", "chain:0", "chain:x", "layers:3", "startup:1", "nothing:1"])
def test_a_wrong_name_is_refused_with_the_right_ones(spec: str) -> None:
    with pytest.raises(ValueError, match="there are|is written"):
        works.parse(spec)


@pytest.mark.parametrize("spec", ["latency", "latency:1", "latency:x", "nothing:5"])
def test_a_wrong_gauge_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="is written KIND:N"):
        gauges.parse(spec)


def _command(runner: Runner, spec: str, folder: Path) -> list[str]:
    work = works.parse(spec)
    return runner.command_for(work, work.write(folder, 7), folder / "out", Room(folder))


def test_celeriac_alone_is_told_to_use_containers_again(tmp_path: Path) -> None:
    ours, theirs = Celeriac("celeriac", Path("celeriac")), Cwltool("cwltool", Path("cwltool"))
    assert "--reuse-container" in _command(ours, "containers-reused:2", tmp_path)
    assert "--reuse-container" not in _command(ours, "containers:2", tmp_path)
    assert _command(theirs, "containers-reused:2", tmp_path) == _command(theirs, "containers:2", tmp_path)


def test_cwltool_only_loads_where_we_load_and_begin(tmp_path: Path) -> None:
    ours, theirs = Celeriac("celeriac", Path("celeriac")), Cwltool("cwltool", Path("cwltool"))
    assert "--validate" in _command(theirs, "load:2", tmp_path)
    assert _command(ours, "load:2", tmp_path)[1] == "run"
    assert "--validate" not in _command(ours, "load:2", tmp_path)


def test_who_can_not_only_load_is_not_asked_to() -> None:
    runners = [Celeriac("celeriac", Path("celeriac")), Toil("toil", Path("toil"))]
    assert [seat.result.note for seat in plan([works.parse("load:2")], runners, Limits())] == [
        "", "skipped: can't only load",
    ]  # fmt: skip


def test_loading_is_right_when_the_first_step_has_started(tmp_path: Path) -> None:
    case = works.parse("load:2").write(tmp_path, 7)
    assert case.started is not None
    assert failure(run(1, exit_code=1), "", case, tmp_path, load_code=1) == "the first step did not start"
    case.started.touch()
    assert failure(run(1, exit_code=1), "", case, tmp_path, load_code=1) == ""
    assert failure(run(1, exit_code=0), "", case, tmp_path, load_code=1) == "exit 0"
    assert failure(run(1, exit_code=0), "", case, tmp_path, load_code=0) == ""


def test_what_took_too_long_or_made_nothing_is_no_run(tmp_path: Path) -> None:
    case = works.parse("startup").write(tmp_path, 7)
    assert failure(run(9, exit_code=-9, timed_out=True), "", case, tmp_path) == "not ended after 9 s"
    assert failure(run(1, exit_code=3), "", case, tmp_path) == "exit 3"
    assert failure(run(1), "", case, tmp_path) == "no output object with 'out'"


def test_latency_is_from_an_end_to_the_next_start() -> None:
    shown = latency.figures([(0.0, 1.0), (1.005, 2.0), (2.015, 3.0)])
    assert shown["step to step, p50, ms"] == pytest.approx(10)
    assert shown["step to step, most, ms"] == pytest.approx(15)
    assert shown["start to start, p50, ms"] == pytest.approx((1005 + 1010) / 2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 99))
def test_a_percentile_lies_among_the_values(values: list[float], percent: int) -> None:
    found = latency.percentile(values, percent)
    slack = 1e-6
    assert min(values) - slack <= found <= max(values) + slack
    below = sum(value <= found + slack for value in values)
    assert below >= len(values) * percent / 100 - 1
