"""GPUs by the real command: leased by id, never to two steps at once; asked of the engine by these ids."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from celeriac.journal.database import Database
from celeriac.journal.tables import attempts
from tests.acceptance.commands import Desk
from tests.integration.fake_engine import FakeEngine, serve

QUEUES = """\
default: {cpus: 1, ram: 500}
gpu: {cpus: 1, ram: 500, gpus: 1}
"""
#: Fails when somebody else has its GPU.
TRAIN = """\
cwlVersion: v1.2
class: Workflow
$namespaces: {cwltool: "http://commonwl.org/cwltool#"}
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: "int[]", locks: string}
outputs: {used: {type: "File[]", outputSource: train/used}}
steps:
  train:
    scatter: number
    in: {number: numbers, locks: locks}
    out: [used]
    run:
      class: CommandLineTool
      hints:
        cwltool:CUDARequirement: {cudaVersionMin: "11.4", cudaComputeCapability: "3.0", cudaDeviceCountMin: 1}
        CONTAINER
      baseCommand: [sh, -c, 'mkdir "$0/$CUDA_VISIBLE_DEVICES" && sleep 0.3 && rmdir "$0/$CUDA_VISIBLE_DEVICES"
        && echo "$CUDA_VISIBLE_DEVICES"']
      inputs: {number: int, locks: {type: string, inputBinding: {}}}
      stdout: used.txt
      outputs: {used: stdout}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "queues.yaml").write_text(QUEUES)
    (tmp_path / "locks").mkdir()
    (tmp_path / "train.cwl").write_text(TRAIN.replace("CONTAINER", ""))
    (tmp_path / "boxed.cwl").write_text(TRAIN.replace("CONTAINER", "DockerRequirement: {dockerPull: trainer}"))
    job = {"numbers": list(range(6)), "locks": str(tmp_path / "locks")}
    (tmp_path / "job.json").write_text(json.dumps(job))
    return Desk(tmp_path)


@pytest.fixture
def engine() -> Iterator[tuple[FakeEngine, str]]:
    played = FakeEngine()
    with tempfile.TemporaryDirectory() as directory:  # a socket's path must be short
        server = serve(played, Path(directory) / "s")
        yield played, f"unix://{directory}/s"
        server.shutdown()
        server.server_close()


def test_no_gpu_is_two_steps_at_once(desk: Desk) -> None:
    done = desk("run", "--quiet", "train.cwl", "job.json", CELERIAC_HOST_GPUS="GPU-a,GPU-b")
    used = [Path(file["path"]).read_text().strip() for file in json.loads(done.stdout)["used"]]
    assert len(used) == 6 and set(used) <= {"GPU-a", "GPU-b"}
    database = Database(f"sqlite:///{desk.home}/journal.db")
    with database.read() as connection:
        rows = connection.execute(select(attempts.c.queue, attempts.c.granted)).all()
    database.close()
    assert [tuple(row) for row in rows] == [("gpu", {"cpus": 1, "ram": 500, "gpus": 1})] * 6


def test_the_engine_is_asked_for_the_gpu_that_was_leased(desk: Desk, engine: tuple[FakeEngine, str]) -> None:
    played, url = engine
    played.output = b""
    (desk.directory / "one.json").write_text(json.dumps({"numbers": [1], "locks": "/x"}))
    desk("run", "--quiet", "boxed.cwl", "one.json", CELERIAC_HOST_GPUS="GPU-b", CELERIAC_DOCKER_HOST=url)
    [created] = played.created
    [request] = created["HostConfig"]["DeviceRequests"]
    assert request["DeviceIDs"] == ["GPU-b"] and request["Capabilities"] == [["gpu"]]


def test_a_host_without_gpus_is_named(desk: Desk) -> None:
    done = desk("run", "--quiet", "train.cwl", "job.json", code=1, CELERIAC_HOST_GPUS="none")
    assert "GPU" in done.stderr and "this host has" in done.stderr
