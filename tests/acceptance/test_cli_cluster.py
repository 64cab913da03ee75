"""submit, cancel and queues with a broker and a worker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import CELERIAC, HANG, Desk, desk
from tests.services.process import running

CHECKOUT = Path(__file__).parents[2]
ID = re.compile(r"[0-9a-f]{12}\n")
QUEUES = "small: {cpus: 1, ram: 1024}\nlarge: {cpus: 2, ram: 4096}\n"


@pytest.fixture(scope="module")
def cluster(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk and one worker that share a broker and a journal."""
    directory = tmp_path_factory.mktemp("cluster")
    (directory / "queues.yaml").write_text(QUEUES)
    here = desk(directory, CELERIAC_BROKER_URL=redis_url, CELERIAC_QUEUES=str(directory / "queues.yaml"))
    log = directory / "worker.log"
    celery = str(Path(sys.executable).with_name("celery"))
    words = [celery, f"--workdir={CHECKOUT}", "worker", "-Q", "small", "-c", "2", "-l", "info"]
    with running(words, ready=lambda: " ready." in log.read_text(), log=log, env=here.environment()):
        yield here


def wait(here: Desk, run: str, *, code: int = 0) -> None:
    """Wait for the end of a run."""
    here("status", "--watch", run, code=code)


def test_submit_prints_the_run_id_and_nothing_else(cluster: Desk) -> None:
    done = cluster("submit", "--no-container", "numbers.cwl", "--count", "2")
    assert ID.fullmatch(done.stdout)
    run = done.stdout.strip()
    wait(cluster, run)
    assert cluster.json("outputs", run) == {"all": "0\n1\n"}
    assert cluster("logs", run, "work[1]").stdout == "begin 1\nend 1\nremark 1\n"
    assert {step["queue"] for step in cluster.json("status", run)["steps"]} == {"small"}


def test_submit_into_a_pipe(cluster: Desk) -> None:
    pipe = f"{CELERIAC} submit --no-container numbers.cwl --count 1 | cat"
    done = subprocess.run(
        pipe, shell=True, cwd=cluster.directory, env=cluster.environment(), capture_output=True, text=True, timeout=HANG
    )
    assert (ID.fullmatch(done.stdout) is not None, done.stderr) == (True, "")
    wait(cluster, done.stdout.strip())


def test_outdir_of_submit(cluster: Desk) -> None:
    document = cluster.directory / "file.cwl"
    document.write_text(
        "{cwlVersion: v1.2, class: CommandLineTool, baseCommand: [touch, made.txt], inputs: {},"
        " outputs: {made: {type: File, outputBinding: {glob: made.txt}}}}"
    )
    run = cluster("submit", "--no-container", "--outdir", "results", "file.cwl").stdout.strip()
    wait(cluster, run)
    assert cluster.json("outputs", run)["made"]["path"] == str(cluster.directory / "results" / "made.txt")
    run = cluster("submit", "--no-container", "file.cwl").stdout.strip()
    wait(cluster, run)
    place = Path(cluster.json("outputs", run)["made"]["path"])
    assert place.is_file() and place.is_relative_to(cluster.json("status", run)["directory"])


def test_a_wrong_document_is_found_at_submit(cluster: Desk) -> None:
    before = len(cluster.json("list"))
    done = cluster("submit", "--no-container", "numbers.cwl", "--count", "many", code=1)
    assert done.stdout == ""
    assert len(cluster.json("list")) == before


@pytest.mark.parametrize("command", ["submit", "run"])
def test_a_broker_that_is_down_is_named_and_nothing_is_written(cluster: Desk, command: str) -> None:
    before = len(cluster.json("list"))
    down = "redis://:secret@127.0.0.1:1/0"
    done = cluster(command, "--no-container", "numbers.cwl", code=1, CELERIAC_BROKER_URL=down)
    assert "redis://:***@127.0.0.1:1/0" in done.stderr and "secret" not in done.stderr
    assert done.stdout == ""
    assert len(cluster.json("list")) == before


def test_a_run_is_watched_and_cancelled(cluster: Desk) -> None:
    gate = cluster.directory / "never"
    run = cluster("submit", "--no-container", "numbers.cwl", "--count", "8", "--gate", str(gate)).stdout.strip()
    with cluster.start("logs", "--follow", run) as logs, cluster.start("status", "--watch", "--json", run) as status:
        assert logs.stdout is not None and status.stdout is not None
        line = logs.stdout.readline()  # while the tool that printed it runs
        assert re.fullmatch(r"work\[\d\] \| (begin|remark) \d\n", line)
        assert cluster.json("status", run)["state"] == "RUNNING"
        assert "RUNNING" in cluster("list", "--state", "running").stdout
        cluster("outputs", run, "work", code=1)

        state = cluster("cancel", run).stdout
        assert state in (f"{run} CANCELING\n", f"{run} CANCELED\n")
        cluster("cancel", run)  # twice is no error
        wait(cluster, run, code=1)
        assert cluster("cancel", run).stdout == f"{run} CANCELED\n"

        rest = logs.stdout.read()
        assert "end" not in rest  # it was stopped, not left to go on
        states = [json.loads(line)["state"] for line in status.stdout]
        assert states[-1] == "CANCELED" and "RUNNING" in states
        assert (logs.wait(HANG), status.wait(HANG)) == (0, 1)
    data = cluster.json("status", run)
    assert data["counts"].get("CANCELED") == 8
    assert "cancelled" in cluster("outputs", run, code=1).stderr


def test_cancel_needs_no_broker(cluster: Desk) -> None:
    gate = cluster.directory / "never"
    run = cluster("submit", "--no-container", "numbers.cwl", "--gate", str(gate)).stdout.strip()
    done = cluster("cancel", run, CELERIAC_BROKER_URL="redis://127.0.0.1:1/0")
    assert done.stdout.split()[1] in ("CANCELING", "CANCELED")
    wait(cluster, run, code=1)


def test_what_waits_is_counted(cluster: Desk) -> None:
    document = cluster.directory / "large.cwl"
    document.write_text(
        "{cwlVersion: v1.2, class: CommandLineTool, baseCommand: 'true', inputs: {}, outputs: {},"
        " requirements: {ResourceRequirement: {coresMin: 2}}}"
    )
    run = cluster("submit", "--no-container", "large.cwl").stdout.strip()  # no worker serves its queue
    with cluster.start("status", "--watch", "--json", run) as status:
        assert status.stdout is not None
        states = (json.loads(line)["counts"] for line in status.stdout)
        assert {"QUEUED": 1} in states  # lines come until then
        waiting = {queue["name"]: queue["waiting"] for queue in cluster.json("queues")["queues"]}
        cluster("cancel", run)
        assert status.wait(HANG) == 1
    assert waiting == {"small": 0, "large": 1}


def test_a_run_on_the_cluster_shows_progress(cluster: Desk) -> None:
    done = cluster("run", "--no-container", "numbers.cwl")
    assert json.loads(done.stdout) == {"all": "0\n1\n2\n"}
    assert "is SUCCESS: 5 of 5 jobs done" in done.stderr
