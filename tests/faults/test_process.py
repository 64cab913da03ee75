"""Processes of workers die or stand still: steps are done again, nothing is left, nothing is done twice."""

from __future__ import annotations

import os
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest

from celeriac.states import AttemptState
from tests.faults.both import both
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import begun, busy, process_of
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


@pytest.mark.fault("process", "SIGKILL of a worker's main process")
@both("processes")
def test_a_main_process_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.0, containers)
    run = site.submit(what)
    worker, attempts = busy(site, what, run)
    worker.send(SIGKILL)
    fault.injected()
    gone(site, attempts)
    kept(site, run, what, fault)


@pytest.mark.fault("process", "SIGKILL of a worker's whole process group")
@both("containers")
def test_a_group_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.0, containers)
    run = site.submit(what)
    worker, attempts = busy(site, what, run)
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
    until(lambda: begun(site, run), "the tool does not start")
    site.workers[0].send_all(SIGKILL)
    fault.injected()
    gone(site, attempts)  # no worker is there to see to it
    site.worker("late")
    until(lambda: [one for one in site.view.running(run) if one.id not in attempts], "the step is not done again")
    site.desk("cancel", run)
    assert site.ended(run).state == "CANCELED"
    gone(site, [attempt.id for attempt in site.view.attempts(run)])
    fault.outcome = "done again"



# --- it stands still --------------------------------------------------------------------------------


@pytest.mark.fault("process", "SIGSTOP past the lease, then SIGCONT")
@both("processes")
def test_a_worker_stands_still(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one", "two"), Reference(8, 2.0, containers)
    run = site.submit(what)
    worker, attempts = busy(site, what, run)
    worker.send_all(SIGSTOP)
    fault.injected()

    def lost() -> bool:
        states = {attempt.id: attempt.state for attempt in site.view.attempts(run)}
        return all(states[name] != AttemptState.RUNNING for name in attempts)

    until(lost, "its steps are not taken for lost")
    worker.send_all(SIGCONT)
    kept(site, run, what, fault)
