"""Processes of workers die or stand still: steps are done again, nothing is left, nothing is done twice."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.report import Fault
from tests.faults.site import Site, process_of
from tests.faults.workflow import Reference

KINDS = pytest.mark.parametrize("containers", [True, False], ids=["containers", "processes"])


def _two(make_site: MakeSite, **settings: str) -> Site:
    made = make_site(**settings)
    made.start("one", "two")
    return made


@pytest.mark.ci
@pytest.mark.fault("process", "no fault at all")
@KINDS
def test_without_a_fault(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = _two(make_site), Reference(8, containers=containers)
    kept(site, site.submit(what), what, fault)


@pytest.mark.ci
@pytest.mark.fault("process", "SIGKILL of a prefork child")
@KINDS
def test_a_child_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = _two(make_site), Reference(8, containers=containers)
    run = site.submit(what)
    for done in (0, 2):
        site.done(run, done)
        os.kill(process_of(site.running(run)[0]), signal.SIGKILL)
        fault.injected()
    kept(site, run, what, fault)
