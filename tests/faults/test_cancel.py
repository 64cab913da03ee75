"""Cancel: what waits never starts, what runs ends within ten seconds, whatever it does about it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from celeriac.states import RunState
from tests.faults.both import both
from tests.faults.checks import ended_as, gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.workflow import Reference

#: Will not hear of SIGTERM, nor will its child in a session of its own.
_DEAF = "trap '' TERM INT HUP; (trap '' TERM; setsid sleep 300) & while :; do sleep 1; done"


def tool(script: str, *, containers: bool, outputs: Any = None, ram: int = 64) -> dict[str, Any]:
    """Return a tool that is a line of shell."""
    needs: dict[str, Any] = {"ResourceRequirement": {"coresMin": 0.25, "ramMin": ram}}
    if containers:
        needs["DockerRequirement"] = {"dockerPull": "alpine"}
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "requirements": needs,
        "baseCommand": ["sh", "-c", 'echo begun >&2; ' + script],
        "inputs": {},
        "outputs": outputs or {},
    }


def submit(site: Site, document: dict[str, Any], *words: str) -> str:
    """Submit a tool; returns the run when it has begun."""
    containers = "DockerRequirement" in document["requirements"]
    run = site.submit_tool(document, {}, *(() if containers else ("--no-container",)), *words)
    site.running(run)
    until(lambda: begun(site, run), "the tool does not begin")
    return run


def begun(site: Site, run: str) -> bool:
    """Whether a tool of a run has said something."""
    return any(log.read_text() for log in (site.settings.runs / run).glob("*/stderr.log"))


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


@pytest.mark.fault("cancel", "none: 1 GB of standard output")
@both()
def test_much_output(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    """The worker's memory stays as it is, and nothing of it is missing."""
    site, size = make_site("one"), 2**30
    stdout = {"all": {"type": "File", "outputBinding": {"glob": "much"}}}
    much = {**tool(f"head -c {size} /dev/zero", containers=containers, outputs=stdout), "stdout": "much"}
    warm = submit(site, tool("true", containers=containers))
    site.ended(warm)
    before = _memory(site)
    run = submit(site, much)
    most = before
    while not site.view.run(run).ended:
        most = max(most, _memory(site))
        time.sleep(0.1)
    fault.injected()
    row = ended_as(site, run, RunState.SUCCESS, "None", fault, patience=300)
    assert row.outputs["all"]["size"] == size
    assert row.outputs["all"]["checksum"] == "sha1$2a492f15396a6768bcbca016993f4b4c8b0b5307"
    assert most - before < 64 * 2**20, f"a process grew by {(most - before) / 2**20:.0f} MiB"


def _memory(site: Site) -> int:
    """Return the bytes that the largest process of the workers has for itself."""
    return max(
        process.memory_info().rss for worker in site.workers for process in worker.children if process.is_running()
    )
