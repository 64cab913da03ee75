"""A run that is its own worker: the processes that it has forked for its steps die or stand still, or it does."""

from __future__ import annotations

from signal import SIGCONT, SIGKILL, SIGSTOP

import psutil
import pytest

from celeriac.states import AttemptState
from tests.faults.both import both
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import HANG, until
from tests.faults.own_run import OwnRun, own_run
from tests.faults.report import Fault
from tests.faults.site import Site, begun, process_of
from tests.faults.test_failpoints import POINTS
from tests.faults.workflow import Reference


def _busy(site: Site, own: OwnRun) -> tuple[psutil.Process, list[str]]:
    """Wait until one of its processes has a step at work; return it with all that it runs."""

    def look() -> tuple[psutil.Process, list[str]] | None:
        running = site.view.running(own.id)
        for hand in own.hands:
            if attempts := [attempt.id for attempt in running if process_of(attempt) == hand.pid]:
                return hand, attempts
        return None

    return until(look, "no step runs in a process of its own", pause=0.02)


@pytest.mark.fault("own run", "SIGKILL of a process that runs a step")
@both("containers")
def test_one_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    """Its steps are done in another one, or by the command itself."""
    site, what = make_site(), Reference(8, containers=containers)
    with own_run(site, what) as own:
        for done in (0, 2):
            site.done(own.id, done)
            hand, attempts = _busy(site, own)
            hand.kill()
            fault.injected()
            gone(site, attempts)
        own.succeeded()
    kept(site, own.id, what, fault)


@pytest.mark.fault("own run", "SIGKILL of all its processes at once")
@both()
def test_all_are_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site(), Reference(14, 1.0, containers)
    with own_run(site, what) as own:
        site.done(own.id, 2)
        attempts = [attempt.id for attempt in site.running(own.id, 2)]
        for hand in own.hands:
            hand.kill()
        fault.injected()
        gone(site, attempts)
        own.succeeded()
    kept(site, own.id, what, fault)


@pytest.mark.ci
@pytest.mark.fault("own run", "SIGKILL of the processes that have nothing to do")
def test_idle_ones_are_killed(make_site: MakeSite, fault: Fault) -> None:
    """What is handed to one that is dead is begun all the same, and not after a lease: that is longer than the test."""
    site, what = make_site(LEASE="3600"), Reference(8, 1.0, containers=False)
    with own_run(site, what) as own:
        busy, _ = _busy(site, own)  # the first step of the chain: it is alone
        for hand in own.hands:
            if hand.pid != busy.pid:
                hand.kill()
        fault.injected()
        own.succeeded()
    kept(site, own.id, what, fault)
    assert [attempt.path for attempt in site.view.attempts(own.id) if attempt.number > 1] == []


@pytest.mark.fault("own run", "SIGSTOP of a process past the lease, then SIGCONT")
@both()
def test_one_stands_still(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site(), Reference(14, 2.0, containers)
    with own_run(site, what) as own:
        site.done(own.id, 1)
        hand, attempts = _busy(site, own)
        hand.send_signal(SIGSTOP)
        fault.injected()

        def lost() -> bool:
            states = {attempt.id: attempt.state for attempt in site.view.attempts(own.id)}
            return all(states[name] != AttemptState.RUNNING for name in attempts)

        until(lost, "its steps are not taken for lost")
        hand.send_signal(SIGCONT)
        own.succeeded()
    kept(site, own.id, what, fault)


# --- the command dies ---------------------------------------------------------------------------------


@pytest.mark.fault("own run", "SIGKILL of the command, then resumed")
@both()
def test_the_command_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    """Its processes see to it that their tools end, and end too."""
    site, what = make_site(), Reference(8, 5.0, containers)
    with own_run(site, what) as own:
        _, attempts = _busy(site, own)
        until(lambda: begun(site, own.id), "the tool does not start")
        family = own.hands
        own.command.send_signal(SIGKILL)
        fault.injected()
        gone(site, attempts)
        until(lambda: not [hand for hand in family if hand.is_running()], "a process of the run goes on")
    own.resumed()
    kept(site, own.id, what, fault)


@pytest.mark.fault("own run", "SIGKILL at a commit point, resumed where it was the command")
@pytest.mark.parametrize("point", POINTS)
def test_a_process_dies_at(make_site: MakeSite, fault: Fault, point: str) -> None:
    site, what = make_site(), Reference(8, 0.3)
    with own_run(site, what) as own:
        site.done(own.id, 1)
        armed = site.arm(point)
        fault.injected()
        _, said = own.command.communicate(timeout=HANG)
        assert own.command.returncode in (0, -SIGKILL), said
    if own.command.returncode:
        own.resumed()
    kept(site, own.id, what, fault)
    assert not armed.exists(), f"nobody reached {point}"
