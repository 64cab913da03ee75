"""Two workers on one host, one of them killed: its slots come back, and its containers don't stay beside new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import docker
import psutil
import pytest

from queues.ledger import overview
from tests.acceptance.commands import HANG, Desk
from tests.acceptance.engine_limits import Sight, watching
from tests.acceptance.workers import Site, echo, until

#: Its items wait in their containers till there is a file `open` in a directory.
BLOCKED = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: "int[]", gate: Directory}
outputs: {}
steps:
  wait:
    scatter: number
    in: {number: numbers, gate: gate}
    out: []
    run:
      class: CommandLineTool
      requirements:
        DockerRequirement: {dockerPull: alpine}
        ResourceRequirement: {coresMin: 1, ramMin: 100}
      baseCommand: [sh, -c, 'until [ -e "$0/open" ]; do sleep 0.1; done']
      inputs: {number: int, gate: {type: Directory, inputBinding: {}}}
      outputs: {}
"""
#: As many as fit at once.
CPUS = os.cpu_count() or 1


@pytest.fixture
def site(redis_url: str, docker_engine: str, docker_images: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    settings = {
        "BROKER_URL": redis_url.removesuffix("/0") + "/6", "DOCKER_HOST": docker_engine,
        "LEASE": "6", "HEARTBEAT": "1", "SCAN_INTERVAL": "1", "CANCEL_POLL": "0.5",
    }  # fmt: skip
    made = Site(Desk(tmp_path, {f"CELERIAC_{key}": value for key, value in settings.items()}))
    made.write(blocked=BLOCKED, echo=echo())
    yield made
    made.show_logs()


@pytest.fixture
def sight(site: Site, docker_engine: str) -> Iterator[Sight]:
    with watching(docker_engine, site.desk.home) as seen:
        yield seen
    assert seen.most_cpus <= CPUS + 1e-9


def _running(site: Site, run: str) -> list[str]:
    return [a.id for a in site.attempts(run) if a.state == "RUNNING"]


def _kill(pid: int) -> None:
    """SIGKILL a worker's main process and all its children, as near to at once as can be."""
    main = psutil.Process(pid)
    for process in [main, *main.children(recursive=True)]:
        process.kill()


@pytest.fixture
def gate(site: Site) -> Path:
    """The directory for which the blocked steps wait to have a file `open`."""
    made = site.desk.directory / "gate"
    made.mkdir()
    inputs = {"numbers": list(range(CPUS)), "gate": {"class": "Directory", "location": str(made)}}
    (site.desk.directory / "job.json").write_text(json.dumps(inputs))
    return made


def _fill(site: Site) -> str:
    """Have the host filled by a run's steps, which are blocked."""
    run = site.desk("submit", "blocked.cwl", "job.json").stdout.strip()
    until(lambda: len(_running(site, run)) == CPUS, "the host is not filled")
    return run


def test_a_worker_that_ends_does_not_wait_for_a_slot(site: Site, gate: Path) -> None:
    with site.worker("one", "-Q", "default"):
        blocked = _fill(site)
        with site.worker("two", "-Q", "default") as two:
            quick = site.submit("echo.cwl", "--message", "m")
            until(lambda: [e for e in overview(site.settings.slots_directory) if e.waiting], "nobody waits")
            two.terminate()
            assert two.wait(HANG) == 0, "it ends though nothing has come free"
            assert len(_running(site, blocked)) == CPUS
        (gate / "open").touch()
        assert site.ended(quick).state == "SUCCESS"
        assert site.ended(blocked).state == "SUCCESS"


def test_a_killed_worker_s_slots_come_back(site: Site, sight: Sight, docker_engine: str, gate: Path) -> None:
    with site.worker("one", "-Q", "default") as one:
        blocked = _fill(site)
        first = _running(site, blocked)
        with site.worker("two", "-Q", "default"):
            quick = site.submit("echo.cwl", "--message", "m")
            until(lambda: [e for e in overview(site.settings.slots_directory) if e.waiting], "nobody waits")
            assert [a.state for a in site.attempts(quick)] == ["QUEUED"], "what waits for a slot is not claimed"
            _kill(one.pid)
            # the blocked steps never end, and yet there is room: what the dead worker had is given back
            assert site.ended(quick).state == "SUCCESS"
            (gate / "open").touch()
            assert site.ended(blocked).state == "SUCCESS"
    states = {a.id: a.state for a in site.attempts(blocked)}
    assert {states[attempt] for attempt in first} == {"LOST"}
    with docker.APIClient(base_url=docker_engine) as client:
        found = client.containers(all=True, filters={"label": "celeriac.run"})
    assert not {one["Labels"]["celeriac.attempt"] for one in found} & set(first), "no container is left"
