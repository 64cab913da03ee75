"""Processes of workers die or stand still: steps are done again, nothing is left, nothing is done twice."""

from __future__ import annotations

import os
import time
from signal import SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, Signals

import pytest

from celeriac.states import AttemptState, Outcome
from tests.faults.both import both
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site, process_of
from tests.faults.worker import Worker
from tests.faults.workflow import Reference


@pytest.mark.fault("process", "none at all")
@both()
def test_without_a_fault(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, containers=containers)
    kept(site, site.submit(what), what, fault)


@pytest.mark.fault("process", "none at all, SQLite")
def test_without_a_fault_on_sqlite(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two", journal=""), Reference(40, 0.1)
    kept(site, site.submit(what), what, fault)


@pytest.mark.fault("process", "SIGKILL of a prefork child")
@both("containers")
def test_a_child_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, containers=containers)
    run = site.submit(what)
    for done in (0, 2):
        site.done(run, done)
        attempt = site.running(run)[0]
        os.kill(process_of(attempt), SIGKILL)
        fault.injected()
        gone(site, [attempt.id])
    kept(site, run, what, fault)


# --- the whole worker -----------------------------------------------------------------------------


def _busy(site: Site, what: Reference, run: str) -> tuple[Worker, list[str]]:
    """Wait until a worker has a step at work in the middle of the run; return it with all that it runs."""
    site.done(run, what.size // 4)
    worker = site.worker_of(site.running(run)[0])
    children = {child.pid for child in worker.children}
    return worker, [attempt.id for attempt in site.view.running(run) if process_of(attempt) in children]


@pytest.mark.fault("process", "SIGKILL of a worker's main process")
@both("processes")
def test_a_main_process_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.0, containers)
    run = site.submit(what)
    worker, attempts = _busy(site, what, run)
    worker.send(SIGKILL)
    fault.injected()
    gone(site, attempts)
    kept(site, run, what, fault)


@pytest.mark.fault("process", "SIGKILL of a worker's whole process group")
@both("containers")
def test_a_group_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.0, containers)
    run = site.submit(what)
    worker, attempts = _busy(site, what, run)
    worker.send_all(SIGKILL)
    fault.injected()
    gone(site, attempts)
    kept(site, run, what, fault)


@pytest.mark.fault("process", "SIGKILL of the only worker's group, another is started later")
@both()
def test_the_only_worker_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one"), Reference(8, 60.0, containers)
    run = site.submit(what)
    attempts = [attempt.id for attempt in site.running(run)]
    until(lambda: _started(site), "the tool does not start")
    site.workers[0].send_all(SIGKILL)
    fault.injected()
    gone(site, attempts)  # no worker is there to see to it
    site.worker("late")
    until(lambda: [one for one in site.view.running(run) if one.id not in attempts], "the step is not done again")
    site.desk("cancel", run)
    assert site.ended(run).state == "CANCELED"
    gone(site, [attempt.id for attempt in site.view.attempts(run)])
    fault.outcome = "done again"


def _started(site: Site) -> bool:
    """Whether a tool has begun to speak."""
    return any(log.read_text() for log in site.settings.runs.glob("*/*/stderr.log"))


@pytest.mark.ci
@pytest.mark.fault("process", "SIGTERM in the middle of a step that ends soon")
def test_a_worker_drains(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.2)
    run = site.submit(what)
    worker, attempts = _busy(site, what, run)
    worker.send(SIGTERM)
    fault.injected()
    assert worker.wait() == 0
    kept(site, run, what, fault)
    states = {attempt.id: attempt.outcome for attempt in site.view.attempts(run)}
    assert {states[name] for name in attempts} == {"success"}, "what it had in hand it has done"


@pytest.mark.fault("process", "SIGTERM in the middle of a step that takes long")
@both()
def test_a_worker_hands_back(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one"), Reference(8, 300.0, containers)
    run = site.submit(what)
    attempts = [attempt.id for attempt in site.running(run)]
    until(lambda: _started(site), "the tool does not start")
    site.worker("two")
    site.workers[0].send(SIGTERM)
    fault.injected()
    site.workers[0].wait()
    gone(site, attempts)
    again = until(lambda: [one for one in site.view.running(run) if one.id not in attempts], "it is not done again")
    first = next(attempt for attempt in site.view.attempts(run) if attempt.id in attempts)
    assert (first.outcome, again[0].path) == (Outcome.HANDED_BACK, first.path)
    site.desk("cancel", run)
    assert site.ended(run).state == "CANCELED"
    fault.outcome = "handed back"
    gone(site, [attempt.id for attempt in site.view.attempts(run)])


@pytest.mark.fault("process", "a worker asked twice to end at once")
@pytest.mark.parametrize("number", [SIGQUIT, SIGINT], ids=["SIGQUIT", "SIGINT"])
def test_a_worker_is_asked_twice(make_site: MakeSite, fault: Fault, number: Signals) -> None:
    site, what = make_site("one", "two"), Reference(8, 5.0)
    run = site.submit(what)
    site.running(run)
    until(lambda: _started(site), "the tool does not start")
    worker = site.worker_of(site.running(run)[0])
    attempts = [site.running(run)[0].id]
    for _ in range(2):
        worker.send(number)
        time.sleep(1)  # as somebody who is impatient
    fault.injected()
    worker.wait()
    gone(site, attempts)
    kept(site, run, what, fault)


# --- it stands still --------------------------------------------------------------------------------


@pytest.mark.fault("process", "SIGSTOP past the lease, then SIGCONT")
@both("processes")
def test_a_worker_stands_still(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, 2.0, containers)
    run = site.submit(what)
    worker, attempts = _busy(site, what, run)
    worker.send_all(SIGSTOP)
    fault.injected()

    def lost() -> bool:
        states = {attempt.id: attempt.state for attempt in site.view.attempts(run)}
        return all(states[name] != AttemptState.RUNNING for name in attempts)

    until(lost, "its steps are not taken for lost")
    worker.send_all(SIGCONT)
    kept(site, run, what, fault)


# --- half of them -----------------------------------------------------------------------------------
