"""A process dies right before or after each commit point: the other side of it holds all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from celeriac.failpoints import NAMES
from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.workflow import Reference

#: In CI: a commit whose messages were not sent.
IN_CI = {"publish.before"}
POINTS = [f"{name}.{side}" for name in NAMES for side in ("before", "after")]


@pytest.mark.fault("process", "SIGKILL at a commit point")
@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=pytest.mark.ci if point in IN_CI else ()) for point in POINTS]
)
def test_a_process_dies_at(make_site: MakeSite, fault: Fault, point: str) -> None:
    site, what = make_site("one", "two"), Reference(8, 0.3)
    site.supervised = True  # what is sent is sent by main processes too
    run = site.submit(what)
    site.done(run, 1)
    for _ in range(2):
        armed = site.arm(point)
        fault.injected()
        if not point.startswith("rename"):  # that is at the end of the run
            _seen(armed)
    kept(site, run, what, fault)
    assert not list(armed.parent.iterdir()), f"nobody reached {point}"


@pytest.mark.fault("process", "SIGKILL at a commit point of a plain process")
@pytest.mark.parametrize("point", ["start.before", "start.after", "commit.before"])
def test_a_process_dies_at_that_of_a_plain_tool(make_site: MakeSite, fault: Fault, point: str) -> None:
    site, what = make_site("one", "two"), Reference(8, 0.3, containers=False)
    run = site.submit(what)
    site.done(run, 1)
    _seen(site.arm(point))
    fault.injected()
    kept(site, run, what, fault)


def _seen(armed: Path) -> None:
    until(lambda: not armed.exists(), f"nobody reaches {armed.name}")
