"""Items that run in one container, one after the other: what is done to one of them is not done to the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from signal import SIGKILL

import pytest
from docker.models.containers import Container

from celeriac.journal.tables import Record
from celeriac.scheduler.retry import Cause
from celeriac.states import Outcome
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import succeeded, until
from tests.faults.own_run import own_run
from tests.faults.report import Fault
from tests.faults.sharing import SHARE, handed_on, shared
from tests.faults.site import Site, process_of


def _done(site: Site, run: str) -> set[str]:
    """Return the attempts that have succeeded."""
    return {attempt.id for attempt in site.view.attempts(run) if succeeded(attempt)}


def _untouched(site: Site, run: str, done: set[str]) -> None:
    """Check that what was done is done: its steps were not tried again."""
    made = site.view.attempts(run)
    paths = [attempt.path for attempt in made]
    assert done <= _done(site, run)
    assert [one.path for one in made if one.id in done and paths.count(one.path) > 1 and one.number == 1] == []


# --- workers ------------------------------------------------------------------------------------------


@pytest.mark.fault("shared container", "SIGKILL of the prefork child whose item runs in it")
def test_a_child_is_killed(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one"), shared(0.5)
    run = site.submit(what, SHARE)
    attempt, _ = handed_on(site, run)
    done = _done(site, run)
    os.kill(process_of(attempt), SIGKILL)
    fault.injected()
    gone(site, [attempt.id])
    kept(site, run, what, fault)
    _untouched(site, run, done)


@pytest.mark.fault("shared container", "SIGKILL of the worker whose item runs in it")
@pytest.mark.parametrize("whole", [False, True], ids=["main process", "whole process group"])
def test_a_worker_is_killed(make_site: MakeSite, fault: Fault, whole: bool) -> None:
    site, what = make_site(), shared(1.0)
    for name in ("one", "two"):
        site.worker(name, "-Q", "default", "-c", "1")
    run = site.submit(what, SHARE)
    attempt, _ = handed_on(site, run)
    worker, done = site.worker_of(attempt), _done(site, run)
    worker.send_all(SIGKILL) if whole else worker.send(SIGKILL)
    fault.injected()
    gone(site, [attempt.id])
    kept(site, run, what, fault)
    _untouched(site, run, done)


# --- a run that is its own worker ---------------------------------------------------------------------


@pytest.mark.ci
@pytest.mark.fault("shared container", "SIGKILL of the process of a run whose item runs in it")
def test_a_process_of_a_run_is_killed(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site(), shared(0.5)
    with own_run(site, what, SHARE) as own:
        attempt, _ = handed_on(site, own.id)
        done = _done(site, own.id)
        assert process_of(attempt) in {hand.pid for hand in own.hands}
        os.kill(process_of(attempt), SIGKILL)
        fault.injected()
        gone(site, [attempt.id])
        own.succeeded()
    kept(site, own.id, what, fault)
    _untouched(site, own.id, done)


@pytest.mark.fault("shared container", "SIGKILL of the run whose item runs in it, then resumed")
@pytest.mark.parametrize("whole", [False, True], ids=["main process", "all its processes"])
def test_a_run_is_killed(make_site: MakeSite, fault: Fault, whole: bool) -> None:
    site, what = make_site(), shared(0.5)
    with own_run(site, what, SHARE) as own:
        handed_on(site, own.id)
        attempts = [attempt.id for attempt in site.view.running(own.id)]
        family = own.hands if whole else []
        own.command.send_signal(SIGKILL)
        for hand in family:
            hand.kill()
        fault.injected()
        gone(site, attempts)
    done = _done(site, own.id)
    own.resumed()
    kept(site, own.id, what, fault)
    _untouched(site, own.id, done)


# --- the container ------------------------------------------------------------------------------------


def _killed(container: Container) -> None:
    container.kill()


def _removed(container: Container) -> None:
    container.remove(force=True)


@pytest.mark.fault("shared container", "from outside, while an item runs in it")
@pytest.mark.parametrize("how", [_killed, _removed], ids=["docker kill", "docker rm -f"])
def test_somebody_ends_it(make_site: MakeSite, fault: Fault, how: Callable[[Container], None]) -> None:
    site, what = make_site("one"), shared(1.0)
    run, hit = site.submit(what, SHARE), []
    done: set[str] = set()
    for _ in range(2):
        attempt, container = handed_on(site, run)
        done |= _done(site, run)
        how(container)
        fault.injected()
        hit.append(attempt.id)
        until(lambda: _attempt(site, run, hit[-1]).ended, "its end is not noticed")
    kept(site, run, what, fault)
    ends = [_attempt(site, run, name) for name in hit]
    assert {(one.outcome, one.cause) for one in ends} == {(Outcome.INFRASTRUCTURE, Cause.KILLED)}
    assert all(one.error["type"] == "KilledFromOutside" for one in ends)
    _untouched(site, run, done)


def _attempt(site: Site, run: str, name: str) -> Record:
    return next(one for one in site.view.attempts(run) if one.id == name)
