"""A worker's clock is wrong by an hour: leases go by the database's, so that nothing ends early or lives for ever."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from signal import SIGKILL

import pytest

from celeriac.states import AttemptState
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site, process_of
from tests.faults.worker import Worker
from tests.faults.workflow import Reference
from tests.services.require import require

#: Where distributions put libfaketime; that for programs with threads.
_PLACES = ("/usr/lib/*-linux-gnu/faketime", "/usr/lib64/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")


def _wrong(shift: str) -> tuple[str, ...]:
    """Return the words before a command whose clock is to be shifted."""
    found = [one for place in _PLACES for one in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1")]
    require("libfaketime is not installed", available=bool(found))
    # no process waits by the wall clock; a jump of the monotonic one would be another fault
    return ("env", f"LD_PRELOAD={found[0]}", f"FAKETIME={shift}", "FAKETIME_DONT_FAKE_MONOTONIC=1")


def _wrong_worker(site: Site, shift: str) -> Worker:
    worker = site.worker("wrong", wrapper=_wrong(shift))
    told = re.findall(r"^\[(\d+-\d+-\d+ \d+:\d+:\d+)", worker.log.read_text(), re.MULTILINE)[-1]
    off = (datetime.fromisoformat(told) - datetime.now()).total_seconds()
    assert abs(off - float(shift.removesuffix("h")) * 3600) < 600, "its clock is as it was"
    return worker


@pytest.mark.fault("clock", "of one worker wrong")
@pytest.mark.parametrize(
    "shift", [pytest.param("+1h", id="one hour ahead", marks=pytest.mark.ci), pytest.param("-1h", id="one hour behind")]
)
def test_a_worker_s_clock_is_wrong(make_site: MakeSite, fault: Fault, shift: str) -> None:
    """Steps take longer than a lease: one that went by the wrong clock would be lost, or taken by the other."""
    site, what = make_site("right"), Reference(8, 7.5)
    assert what.seconds > site.settings.lease
    wrong = _wrong_worker(site, shift)
    fault.injected()
    run = site.submit(what)
    until(lambda: _has_work(site, run, wrong), "the worker with the wrong clock gets nothing")
    kept(site, run, what, fault, patience=300)
    again = [(one.path, one.state, one.cause, one.error) for one in site.view.attempts(run) if one.outcome != "success"]
    assert not again, f"done again: {again}\n{site.said()}"


@pytest.mark.fault("clock", "of a worker that dies wrong")
@pytest.mark.parametrize("shift", ["+1h", "-1h"], ids=["one hour ahead", "one hour behind"])
def test_a_worker_with_a_wrong_clock_dies(make_site: MakeSite, fault: Fault, shift: str) -> None:
    """Its lease ends when it should."""
    site, what = make_site("right"), Reference(8, 3.0)
    wrong = _wrong_worker(site, shift)
    run = site.submit(what)
    attempts = until(lambda: _has_work(site, run, wrong), "the worker with the wrong clock gets nothing")
    wrong.send_all(SIGKILL)
    fault.injected()
    gone(site, attempts)

    def lost() -> bool:
        states = {one.id: one.state for one in site.view.attempts(run)}
        return all(states[name] == AttemptState.LOST for name in attempts)

    until(lost, "its steps are not taken for lost", patience=30)
    kept(site, run, what, fault)


def _has_work(site: Site, run: str, worker: Worker) -> list[str]:
    children = {child.pid for child in worker.children}
    return [one.id for one in site.view.running(run) if process_of(one) in children]
