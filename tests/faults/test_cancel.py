"""Cancel: what waits never starts, what runs ends within ten seconds, whatever it does about it."""

from __future__ import annotations

import socket
import time

import pytest

from celeriac.states import RunState
from tests.faults.both import both
from tests.faults.checks import ended_as, gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import HANG, until
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.tools import submit, tool
from tests.faults.workflow import Reference

#: Will not hear of SIGTERM, nor will its child in a session of its own.
_DEAF = "trap '' TERM INT HUP; (trap '' TERM; setsid sleep 300) & while :; do sleep 1; done"


def _cancel(site: Site, run: str, fault: Fault) -> list[str]:
    """Cancel a run; return the attempts that there are."""
    site.desk("cancel", run)
    fault.injected()
    return [attempt.id for attempt in site.view.attempts(run)]


@pytest.mark.fault("cancel", "while steps run and others wait")
@both("containers")
def test_while_running_and_queued(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one"), Reference(40, 300.0, containers)
    document = {**what.document, "steps": {**what.document["steps"]}}
    document["steps"]["align"]["in"]["files"] = "seed"  # all items at once
    job, words = what.job, () if containers else ("--no-container",)
    run = site.submit_tool(document, job, *words)
    begun_before = {attempt.id for attempt in site.running(run, 2)}
    until(lambda: any(attempt.state == "QUEUED" for attempt in site.view.attempts(run)), "nothing waits")
    gone(site, _cancel(site, run, fault))
    ended_as(site, run, RunState.CANCELED, "cancelled", fault)
    time.sleep(site.settings.lease)  # in which nothing that waited may start
    assert {attempt.id for attempt in site.view.attempts(run) if attempt.started} == begun_before
    for _ in range(2):
        site.desk("cancel", run)  # what has ended
    assert site.view.run(run).state == RunState.CANCELED


@pytest.mark.fault("cancel", "before any worker is there")
def test_before_anybody_has_it(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site(), Reference(8)
    run = site.submit(what)
    _cancel(site, run, fault)
    ended_as(site, run, RunState.CANCELED, "cancelled", fault)
    site.worker("late")
    other = site.submit(what)
    kept(site, other, what, fault)
    assert site.view.run(run).state == RunState.CANCELED and not site.view.attempts(run)


@pytest.mark.fault("cancel", "of a tool that ignores SIGTERM")
@both("processes")
def test_a_deaf_tool(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site = make_site("one")
    run = submit(site, tool(_DEAF, containers=containers))
    gone(site, _cancel(site, run, fault))
    ended_as(site, run, RunState.CANCELED, "cancelled", fault)


@pytest.mark.fault("cancel", "twice, at once")
def test_twice(make_site: MakeSite, fault: Fault) -> None:
    site = make_site("one")
    run = submit(site, tool("sleep 300", containers=True))
    attempts = _cancel(site, run, fault) + _cancel(site, run, fault)
    gone(site, attempts)
    ended_as(site, run, RunState.CANCELED, "cancelled", fault)


@pytest.mark.fault("cancel", "while an image is pulled")
def test_while_pulling(make_site: MakeSite, fault: Fault) -> None:
    """From somebody on this host who listens and never answers."""
    site = make_site("one")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(HANG)
        needs = {"DockerRequirement": {"dockerPull": f"127.0.0.1:{silent.getsockname()[1]}/never/comes:1"}}
        document = tool("true", containers=False)
        document["requirements"] |= needs
        run = site.submit_tool(document, {})
        asked, _ = silent.accept()
        with asked:
            gone(site, _cancel(site, run, fault))
            ended_as(site, run, RunState.CANCELED, "cancelled", fault)


@pytest.mark.fault("cancel", "while outputs are published")
def test_while_publishing(make_site: MakeSite, fault: Fault) -> None:
    """So many files that their publishing takes a while."""
    site = make_site("one")
    files = {"all": {"type": "Directory", "outputBinding": {"glob": "all"}}}
    many = tool("mkdir all; cd all; for i in $(seq 20000); do : > $i; done", containers=True, outputs=files)
    outdir = site.desk.directory / "published"
    run = submit(site, many, "--outdir", str(outdir))
    until(lambda: list(outdir.glob(".celeriac-*")), "nothing is published", pause=0.005)
    _cancel(site, run, fault)
    ended_as(site, run, RunState.CANCELED, "cancelled", fault)
    until(lambda: not list(outdir.glob(".celeriac-*")), "what was prepared is left", patience=20)
    assert not (outdir / "all").exists(), "a run that was cancelled has no outputs"
