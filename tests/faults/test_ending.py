"""Workers are asked to end in the middle of steps: these are done, or handed back to others."""

from __future__ import annotations

import time
from signal import SIGINT, SIGQUIT, SIGTERM, Signals

import pytest

from celeriac.states import Outcome
from tests.faults.both import both
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import begun, busy
from tests.faults.workflow import Reference


@pytest.mark.ci
@pytest.mark.fault("process", "SIGTERM in the middle of a step that ends soon")
def test_a_worker_drains(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.2)
    run = site.submit(what)
    worker, attempts = busy(site, what, run)
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
    until(lambda: begun(site, run), "the tool does not start")
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
    until(lambda: begun(site, run), "the tool does not start")
    worker = site.worker_of(site.running(run)[0])
    attempts = [site.running(run)[0].id]
    for _ in range(2):
        worker.send(number)
        time.sleep(1)  # as somebody who is impatient
    fault.injected()
    worker.wait()
    gone(site, attempts)
    kept(site, run, what, fault)
