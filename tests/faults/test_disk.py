"""File systems without room: the run goes on when there is some again, or says which it is. No tool is to blame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from celeriac.states import Outcome, RunState
from tests.faults.both import both
from tests.faults.checks import ended_as, kept
from tests.faults.conftest import MakeSite
from tests.faults.disks import Disk, disk
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.tools import tool
from tests.faults.workflow import Reference

#: MiB of the file system; those that a step waits for where it does so.
SIZE, RESERVE = 24, 8


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    """A small file system; to be asked for before the site, so that it outlives the workers."""
    with ExitStack() as stack:
        yield stack.enter_context(disk(tmp_path / "small", SIZE))


def _site(make_site: MakeSite, home: Path, **settings: str) -> Site:
    """Make a site whose runs are in a directory; it looks for room when it writes, and not before."""
    return make_site("one", "two", HOME=str(home), **{"DISK_RESERVE": "0", **settings})


def _blames_the_disk(site: Site, run: str) -> None:
    failed = [one for one in site.view.attempts(run) if one.outcome != Outcome.SUCCESS]
    assert failed and {(one.outcome, one.error["type"]) for one in failed} == {("infrastructure", "DiskFull")}


# --- the work directory -------------------------------------------------------------------------------


@pytest.mark.fault("disk", "work directory full, for good")
@both()
def test_work_directory_stays_full(
    small: Disk, make_site: MakeSite, fault: Fault, containers: bool, tmp_path: Path
) -> None:
    site, what, outdir = _site(make_site, small.path), Reference(8, 1.0, containers), tmp_path / "outputs"
    run = site.submit(what, "--outdir", str(outdir))
    site.done(run, 2)
    small.fill()
    fault.injected()
    ended_as(site, run, RunState.FAILED, f"the file system {small.path} has no room left", fault)
    _blames_the_disk(site, run)
    assert not outdir.exists() or not list(outdir.iterdir()), "half of the outputs"


@pytest.mark.fault("disk", "work directory full, room again before the next attempt")
@both("containers")
def test_work_directory_is_full_for_a_while(
    small: Disk, make_site: MakeSite, fault: Fault, containers: bool
) -> None:
    site, what = _site(make_site, small.path, RETRY_DELAY="4"), Reference(8, 1.0, containers)
    run = site.submit(what)
    site.done(run, 2)
    small.fill()
    fault.injected()
    until(lambda: any(one.outcome == Outcome.INFRASTRUCTURE for one in site.view.attempts(run)), "nobody notices")
    small.empty()
    kept(site, run, what, fault)
    _blames_the_disk(site, run)


@pytest.mark.fault("disk", "less room than is to be free before a step starts")
def test_steps_wait_for_room(small: Disk, make_site: MakeSite, fault: Fault) -> None:
    site, what = _site(make_site, small.path, DISK_RESERVE=str(RESERVE)), Reference(8, 1.0)
    run = site.submit(what)
    site.done(run, 1)
    small.fill(leave=RESERVE * 2**20 // 2)
    fault.injected()
    until(lambda: "waits for room" in site.said(), "no step waits")
    small.empty()
    kept(site, run, what, fault)
    assert all(one.outcome == Outcome.SUCCESS for one in site.view.attempts(run)), "nothing had to be done again"


# --- logs and outputs -----------------------------------------------------------------------------------


@pytest.mark.fault("disk", "a tool's log fills it")
@both()
def test_a_log_fills_it(small: Disk, make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site = _site(make_site, small.path)
    loud = tool(f"head -c {2 * SIZE * 2**20} /dev/zero; exit 3", containers=containers)
    run = site.submit_tool(loud, {}, *(() if containers else ("--no-container",)))
    fault.injected()
    ended_as(site, run, RunState.FAILED, f"the file system {small.path} has no room left", fault)
    _blames_the_disk(site, run)


@pytest.mark.fault("disk", "the directory for copies of logs is full")
def test_log_directory_is_full(small: Disk, make_site: MakeSite, fault: Fault) -> None:
    """They are copies: the run does without, and the worker says so."""
    site, what, logs = make_site("one", "two"), Reference(8, 0.5), small.path / "logs"
    logs.mkdir()
    small.fill()
    run = site.submit(what, "--log-dir", str(logs))
    fault.injected()
    kept(site, run, what, fault)
    assert f"the logs can't be copied to {logs}" in site.said()


@pytest.mark.fault("disk", "output directory full")
def test_output_directory_is_full(small: Disk, make_site: MakeSite, fault: Fault) -> None:
    """All outputs or none."""
    site, outdir = make_site("one"), small.path / "outputs"
    made = {name: {"type": "File", "outputBinding": {"glob": name}} for name in ("first", "second")}
    run = site.submit_tool(
        tool(f"sleep 1; echo 1 > first; head -c {SIZE * 2**20} /dev/zero > second", containers=True, outputs=made),
        {},
        "--outdir",
        str(outdir),
    )
    fault.injected()
    ended_as(site, run, RunState.FAILED, f"the outputs can't be written to {outdir}", fault)
    time.sleep(site.settings.scan_interval)
    assert not outdir.exists() or not list(outdir.iterdir()), "half of the outputs"
    assert all(one.outcome == Outcome.SUCCESS for one in site.view.attempts(run)), "the tool did what it should"
