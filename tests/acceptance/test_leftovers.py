"""No container outlives its attempt, whatever died: the reaper of a host, and the sweep where there was none."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from queues import reaper
from queues.alive import is_locked
from tests.acceptance.commands import HANG, Desk
from tests.acceptance.test_ending_workers import broker
from tests.acceptance.test_killed_slots import BLOCKED
from tests.acceptance.workers import Site, processes, until

#: A plain process that waits for good; its word finds it and its child.
PLAIN = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, "setsid sleep 3600 & sleep 3600", sh]
inputs: {word: {type: string, inputBinding: {}}}
outputs: {}
"""


@pytest.fixture
def site(redis_url: str, docker_engine: str, docker_images: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    # neither a lease that runs out nor another worker: the reaper alone can do it
    settings = {
        "BROKER_URL": broker(redis_url), "DOCKER_HOST": docker_engine,
        "LEASE": "3600", "HEARTBEAT": "60", "SCAN_INTERVAL": "1",
    }  # fmt: skip
    made = Site(Desk(tmp_path, {f"CELERIAC_{key}": value for key, value in settings.items()}))
    made.write(blocked=BLOCKED, plain=PLAIN)
    yield made
    made.show_logs()


@pytest.fixture
def engine(docker_engine: str) -> Iterator[docker.APIClient]:
    with closing(docker.APIClient(base_url=docker_engine)) as client:
        yield client


def _submit(site: Site) -> str:
    gate = site.desk.directory / "gate"
    gate.mkdir(exist_ok=True)
    job = {"numbers": [1], "gate": {"class": "Directory", "location": str(gate)}}
    (site.desk.directory / "job.json").write_text(json.dumps(job))
    return site.desk("submit", "blocked.cwl", "job.json").stdout.strip()


def _containers(engine: docker.APIClient, run: str) -> list[dict[str, Any]]:
    return engine.containers(all=True, filters={"label": f"celeriac.run={run}"})


def _running(engine: docker.APIClient, run: str) -> str:
    """Wait for the container of a run; return its attempt."""
    found = until(lambda: [one for one in _containers(engine, run) if one["State"] == "running"], "no container runs")
    return str(found[0]["Labels"]["celeriac.attempt"])


def _gone(engine: docker.APIClient, run: str, attempt: str) -> None:
    left = lambda: any(one["Labels"]["celeriac.attempt"] == attempt for one in _containers(engine, run))  # noqa: E731
    until(lambda: not left(), "its container goes on")


def _family(pid: int) -> list[psutil.Process]:
    main = psutil.Process(pid)
    return [main, *main.children(recursive=True)]


def _send(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        process.send_signal(number)


def _reaper(site: Site) -> Path:
    return site.settings.slots_directory / reaper.LOCK


def test_the_only_worker_of_a_host_is_killed_with_all_its_children(site: Site, engine: docker.APIClient) -> None:
    with site.worker("one", "-Q", "default") as worker:
        run = _submit(site)
        attempt = _running(engine, run)
        assert is_locked(_reaper(site))
        _send(_family(worker.pid), signal.SIGKILL)
        _gone(engine, run, attempt)
    until(lambda: not is_locked(_reaper(site)), "the reaper stays")
    assert attempt in (site.desk.home / "reaper.log").read_text()


def test_the_plain_processes_of_a_killed_worker(site: Site) -> None:
    with site.worker("one", "-Q", "default") as worker:
        word = secrets.token_hex(8)
        site.submit("plain.cwl", "--word", word)
        tool = psutil.Process(until(lambda: processes(word), "its tool does not start")[0])
        until(lambda: len(tool.children()) == 2, "its tool has no children")
        family = [tool, *tool.children()]
        _send([process for process in _family(worker.pid) if process not in family], signal.SIGKILL)
        gone, left = psutil.wait_procs(family, timeout=HANG)
        assert not left


def test_an_embedded_run_is_killed(site: Site, engine: docker.APIClient) -> None:
    _submit(site)  # for its job file
    site.desk.env["CELERIAC_BROKER_URL"] = "embedded"  # type: ignore[index]
    with site.desk.start("run", "--quiet", "blocked.cwl", "job.json") as command:
        found = until(lambda: [run for run in site.runs() if _containers(engine, run)], "no container runs")
        attempt = _running(engine, found[0])
        command.kill()
        _gone(engine, found[0], attempt)


def test_without_ledger_and_reaper_the_next_worker_sweeps_at_its_start(site: Site, engine: docker.APIClient) -> None:
    with site.worker("one", "-Q", "default") as worker:
        run = _submit(site)
        attempt = _running(engine, run)
        family = _family(worker.pid)
        _send(family, signal.SIGSTOP)
        shutil.rmtree(site.settings.slots_directory)
        _send(family, signal.SIGKILL)
    with site.worker("two", "-Q", "celeriac"):
        _gone(engine, run, attempt)


def test_a_halted_worker_s_container_goes_when_its_lease_has_run_out(site: Site, engine: docker.APIClient) -> None:
    site.desk.env.update({"CELERIAC_LEASE": "6", "CELERIAC_HEARTBEAT": "1"})  # type: ignore[attr-defined]
    with site.worker("one", "-Q", "default") as worker:
        run = _submit(site)
        attempt = _running(engine, run)
        family = _family(worker.pid)
        _send(family, signal.SIGSTOP)
        try:
            with site.worker("two", "-Q", "celeriac"):
                _gone(engine, run, attempt)
        finally:
            _send([process for process in family if process.is_running()], signal.SIGCONT)


def test_a_reaper_that_was_killed_is_started_again(site: Site, engine: docker.APIClient) -> None:
    with site.worker("one", "-Q", "default") as worker:
        run = _submit(site)
        attempt = _running(engine, run)
        for pid in processes(os.path.abspath(reaper.__file__)):
            process = psutil.Process(pid)
            if str(site.settings.slots_directory) in process.cmdline():
                process.kill()
                process.wait(HANG)
        until(lambda: is_locked(_reaper(site)), "there is no other")
        _send(_family(worker.pid), signal.SIGKILL)
        _gone(engine, run, attempt)
