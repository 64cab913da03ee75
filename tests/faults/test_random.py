"""Faults at random: half of all steps killed, and a mix of all that can be done to a site while 200 steps run."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from signal import SIGKILL
from subprocess import Popen

import pytest

from tests.acceptance.test_hands import hands
from tests.faults import servers
from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.mix import Mix
from tests.faults.own_run import own_run
from tests.faults.report import Fault
from tests.faults.sharing import SHARE
from tests.faults.site import Site, fresh_database, process_of
from tests.faults.workflow import Reference

#: Minutes of the mix in CI and by hand.
IN_CI, BY_HAND = 2.0, 10.0
#: So many deaths may hit one step by chance: what is tested is not the cap.
TRIES = "50"


@pytest.fixture
def dice(request: pytest.FixtureRequest, fault: Fault) -> random.Random:
    """What chooses; its seed is in the table, so that the same can be had again."""
    seed = request.config.getoption("--seed")
    seed = random.randrange(10**6) if seed is None else seed
    fault.name += f", SEED={seed}"
    return random.Random(seed)


@pytest.mark.fault("random", "half of all attempts SIGKILLed")
def test_half_of_all_are_killed(make_site: MakeSite, fault: Fault, dice: random.Random) -> None:
    site, what = make_site("one", "two", INFRASTRUCTURE_ATTEMPTS=TRIES), Reference(40, 0.5)
    run = site.submit(what)
    seen: set[str] = set()
    while not site.view.run(run).ended:
        for attempt in site.view.running(run):
            if attempt.id in seen:
                continue
            seen.add(attempt.id)
            if dice.random() < 0.5:
                time.sleep(dice.random() * 0.5)
                _kill(process_of(attempt), fault)
        time.sleep(0.02)
    kept(site, run, what, fault)
    assert len(seen) > what.size


def _kill(pid: int, fault: Fault) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.kill(pid, SIGKILL)
        fault.injected()


@pytest.mark.fault("random", "processes of a run that is its own worker SIGKILLed, and it, then resumed")
@pytest.mark.parametrize("words", [(), (SHARE,)], ids=["a container each", "shared containers"])
def test_an_own_run_is_killed(
    make_site: MakeSite, fault: Fault, dice: random.Random, words: tuple[str, ...]
) -> None:
    site, what = make_site(INFRASTRUCTURE_ATTEMPTS=TRIES), Reference(40, 0.3)
    with own_run(site, what, *words) as own:
        _kill_some(own.command, dice, fault)
    while not site.view.run(own.id).ended:
        with site.embedded.start("resume", "--quiet", own.id) as command:
            _kill_some(command, dice, fault)
    kept(site, own.id, what, fault)


def _kill_some(command: Popen[str], dice: random.Random, fault: Fault) -> None:
    """Kill its processes one after another, and at last the command itself, until it has ended."""
    while command.poll() is None:
        time.sleep(dice.uniform(0.2, 3.0))
        family = hands(command.pid) if command.poll() is None else []
        victim = dice.choice(family).pid if family and dice.random() < 0.8 else command.pid
        if command.poll() is None:
            _kill(victim, fault)


@pytest.mark.ci
@pytest.mark.fault("random", "a mix over 200 steps")
def test_a_random_mix(
    make_site: MakeSite, fault: Fault, dice: random.Random, request: pytest.FixtureRequest
) -> None:
    in_ci = request.config.getoption("markexpr") == "ci"
    minutes = request.config.getoption("--minutes") or (IN_CI if in_ci else BY_HAND)
    with servers.postgresql() as journal:
        settings = {"INFRASTRUCTURE_ATTEMPTS": TRIES}
        site = make_site("one", "two", journal=fresh_database(journal.url), **settings)
        site.supervised = True
        mix, until = Mix(site, journal, dice, fault), time.monotonic() + 60 * minutes
        while True:
            what = Reference(200 if minutes >= 5 else 40, 0.3, containers=dice.random() < 0.7)
            run = site.submit(what)
            while time.monotonic() < until and not _ended(site, run):
                mix.step()
            kept(site, run, what, fault, patience=600)
            if time.monotonic() >= until:
                return


def _ended(site: Site, run: str) -> bool:
    return bool(site.view.run(run).ended)
