"""The container engine dies, halts and comes back; containers are ended by others, or by the kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import docker
import pytest

from celeriac.journal.tables import Record
from celeriac.scheduler.retry import Cause
from celeriac.states import AttemptState, Outcome, RunState
from tests.faults.checks import ended_as, kept, left
from tests.faults.conftest import MakeSite
from tests.faults.engines import engine
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.servers import Restartable
from tests.faults.site import Site
from tests.faults.tools import tool
from tests.faults.workflow import Reference

#: Seconds that an engine is away.
AWAY = 5.0
STOPPED, KILLED = "stopped and started again", "SIGKILLed and started again"

MakeEngine = Callable[..., Restartable]


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    """Make a dockerd of the test's own; to be asked for before the site, so that it outlives the workers."""
    with ExitStack() as stack:
        yield lambda *, live_restore=False: stack.enter_context(engine(live_restore=live_restore))


def _end(server: Restartable, how: str) -> None:
    server.stop() if how == STOPPED else server.kill()


def _containers(site: Site, run: str) -> list[Any]:
    """Wait until containers of a run are at work; return them."""

    def look() -> list[Any]:
        with closing(docker.DockerClient(base_url=site.docker)) as client:
            found: list[Any] = client.containers.list(filters={"label": f"celeriac.run={run}"})
        return found

    return until(look, f"run {run} has no container at work")


# --- the engine goes and comes back -----------------------------------------------------------------


@pytest.mark.fault("engine", "dockerd")
@pytest.mark.parametrize("how", [STOPPED, KILLED])
@pytest.mark.parametrize("live_restore", [False, True], ids=["plain", "live-restore"])
def test_it_is_started_again(
    make_engine: MakeEngine, make_site: MakeSite, fault: Fault, how: str, live_restore: bool
) -> None:
    server = make_engine(live_restore=live_restore)
    site, what = make_site("one", "two", docker=server.url), Reference(8, 2.0)
    run = site.submit(what)
    for done in (0, 3):
        site.done(run, done)
        _containers(site, run)
        _end(server, how)
        fault.injected()
        time.sleep(AWAY)
        server.start()
    kept(site, run, what, fault)


@pytest.mark.fault("engine", "a container outlives its engine (live-restore)")
@pytest.mark.parametrize("how", [STOPPED, pytest.param(KILLED, marks=pytest.mark.ci)])
def test_the_true_exit_code_is_taken(make_engine: MakeEngine, make_site: MakeSite, fault: Fault, how: str) -> None:
    """It ends while nobody looks: its exit code is kept, and the step is not done again."""
    server = make_engine(live_restore=True)
    site = make_site("one", docker=server.url)
    made = {"type": "File", "outputBinding": {"glob": "made"}}
    slow = {**tool("sleep 4; echo done > made; exit 7", containers=True, outputs={"made": made}), "successCodes": [7]}
    run = site.submit_tool(slow, {})
    _containers(site, run)
    _end(server, how)
    fault.injected()
    time.sleep(AWAY + 1)
    server.start()
    row = ended_as(site, run, RunState.SUCCESS, "None", fault)
    assert [(one.number, one.exit_code, one.outcome) for one in site.view.attempts(run)] == [(1, 7, Outcome.SUCCESS)]
    assert Path(row.outputs["made"]["path"]).read_text() == "done\n"


@pytest.mark.fault("engine", "a container whose output counts outlives its engine (live-restore)")
@pytest.mark.parametrize("how", [STOPPED, KILLED])
def test_captured_output_is_not_trusted(make_engine: MakeEngine, make_site: MakeSite, fault: Fault, how: str) -> None:
    """What it said while nobody listened is not known: the step is done again."""
    server = make_engine(live_restore=True)
    site = make_site("one", docker=server.url)
    said = {"type": "File", "outputBinding": {"glob": "said"}}
    count = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done"
    run = site.submit_tool({**tool(count, containers=True, outputs={"said": said}), "stdout": "said"}, {})
    _containers(site, run)
    _end(server, how)
    fault.injected()
    time.sleep(1)
    server.start()
    row = ended_as(site, run, RunState.SUCCESS, "None", fault)
    assert Path(row.outputs["said"]["path"]).read_text().split() == list("12345678")
    first, *others = site.view.attempts(run)
    assert (first.outcome, first.cause) == (Outcome.INFRASTRUCTURE, Cause.ENGINE) and others


@pytest.mark.fault("engine", "dockerd SIGSTOPped for 20 s")
def test_it_stands_still(make_engine: MakeEngine, make_site: MakeSite, fault: Fault) -> None:
    server = make_engine()
    site, what = make_site("one", "two", docker=server.url), Reference(8, 2.0)
    run = site.submit(what)
    site.done(run, 1)
    _containers(site, run)
    server.send(SIGSTOP)
    fault.injected()
    time.sleep(20)
    server.send(SIGCONT)
    kept(site, run, what, fault)
    again = [(one.path, one.cause) for one in site.view.attempts(run) if one.number > 1]
    assert not again, "nothing had to be done again"


# --- containers are ended by others -------------------------------------------------------------------


@pytest.mark.fault("engine", "from outside")
@pytest.mark.parametrize("how", ["docker kill", pytest.param("docker rm -f", marks=pytest.mark.ci), "docker stop"])
def test_somebody_ends_a_container(make_site: MakeSite, fault: Fault, how: str) -> None:
    """Twice in the same step, which is what each cause may: it is never the tool's failure."""
    site, what = make_site("one", "two"), Reference(8, 2.0)
    run = site.submit(what)
    hit = []
    for _ in range(2):
        container = _containers(site, run)[0]
        hit.append(container.labels["celeriac.attempt"])
        if how == "docker kill":
            container.kill()
        elif how == "docker stop":
            container.stop(timeout=1)
        else:
            container.remove(force=True)
        fault.injected()
        until(lambda: _attempt(site, run, hit[-1]).ended, "its end is not noticed")
    kept(site, run, what, fault)
    ends = [_attempt(site, run, name) for name in hit]
    assert {(one.outcome, one.cause) for one in ends} == {(Outcome.INFRASTRUCTURE, Cause.KILLED)}
    assert all(one.error["type"] == "KilledFromOutside" for one in ends)


def _attempt(site: Site, run: str, name: str) -> Record:
    return next(one for one in site.view.attempts(run) if one.id == name)


# --- the kernel ends them -------------------------------------------------------------------------------

_QUEUES = "default: {cpus: 1, ram: 128}\nadvanced: {cpus: 1, ram: 512}\n"


def _hungry(make_site: MakeSite, tmp_path: Path, mib: int) -> tuple[Site, str]:
    """Have a tool that takes so many MiB of memory, of the 64 that it asked for."""
    queues = tmp_path / "queues.yaml"
    queues.write_text(_QUEUES)
    site = make_site(QUEUES=str(queues))
    site.worker("small", "-Q", "default", "-c", "2")
    site.worker("large", "-Q", "advanced", "-c", "2")
    eaten = {"type": "File", "outputBinding": {"glob": "eaten"}}
    eats = f"dd if=/dev/zero of=/dev/null bs={mib}M count=1 && echo {mib} > eaten"
    return site, site.submit_tool(tool(eats, containers=True, outputs={"eaten": eaten}), {})


@pytest.mark.ci
@pytest.mark.fault("engine", "a tool out of memory goes to the next queue")
def test_out_of_memory_climbs(make_site: MakeSite, fault: Fault, tmp_path: Path) -> None:
    site, run = _hungry(make_site, tmp_path, 200)
    fault.injected()
    row = ended_as(site, run, RunState.SUCCESS, "None", fault)
    assert Path(row.outputs["eaten"]["path"]).read_text() == "200\n"
    made = [(one.queue, one.outcome, one.cause) for one in site.view.attempts(run)]
    first, last = ("default", Outcome.OUT_OF_MEMORY, Cause.MEMORY), ("advanced", Outcome.SUCCESS, None)
    assert (made[0], made[-1]) == (first, last)


@pytest.mark.fault("engine", "a tool out of memory on the largest queue")
def test_out_of_memory_at_the_top(make_site: MakeSite, fault: Fault, tmp_path: Path) -> None:
    site, run = _hungry(make_site, tmp_path, 700)
    fault.injected()
    row = ended_as(site, run, RunState.FAILED, "more memory than the 512 MiB", fault)
    assert row.error["type"] == "OutOfMemory"
    made = site.view.attempts(run)
    assert {one.outcome for one in made} == {Outcome.OUT_OF_MEMORY}
    assert (made[0].queue, made[-1].queue) == ("default", "advanced")
    assert not left(site, fault) and all(one.state == AttemptState.SETTLED for one in made)
