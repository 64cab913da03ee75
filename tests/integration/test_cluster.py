"""Real workers on each broker: what they serve, refuse and give back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from celeriac.settings import Settings
from tests.conformance.cluster import workers
from tests.integration.cluster import BIN, CHECKOUT, ECHO, PATIENCE, Cluster, new_database
from tests.services.process import free_port

SCATTER = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {messages: "string[]"}
outputs: {out: {type: "string[]", outputSource: all/out}}
steps:
  all: {run: echo.cwl, scatter: message, in: {message: messages}, out: [out]}
"""

CHAIN = """\
cwlVersion: v1.2
class: Workflow
inputs: {message: string}
outputs: {out: {type: string, outputSource: third/out}}
steps:
  first: {run: echo.cwl, in: {message: message}, out: [out]}
  second: {run: large.cwl, in: {message: first/out}, out: [out]}
  third: {run: echo.cwl, in: {message: second/out}, out: [out]}
"""

#: Its message may be larger than one of AMQP's frames (128 KiB), or than a command line may be.
LENGTH = """\
cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {message: string}
outputs: {length: int, copy: string}
expression: "${return {length: inputs.message.length, copy: inputs.message};}"
"""

#: A program that shares the broker and imports nothing of Celeriac's but its client.
PROGRAM = """\
import json, sys
from celery import Celery, group
from celeriac import run_workflow

broker, backend, message = sys.argv[1:4]
app = Celery("mine", broker=broker, backend=backend)
app.set_default()
one = run_workflow.delay("chain.cwl", {"message": message}, use_container=False)
several = group(run_workflow.s("echo.cwl", {"message": m}, use_container=False) for m in "ab")()
try:
    run_workflow.delay("chain.cwl", {"message": 1}, use_container=False).get(timeout=60)
except Exception as error:
    refused = str(error)
print(json.dumps({"one": one.get(timeout=60), "several": several.get(timeout=60), "refused": refused}))
"""


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def cluster(
    request: pytest.FixtureRequest, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Workers on ``default`` and ``advanced``, with a journal of their own."""
    directory = tmp_path_factory.mktemp(request.param)
    for name, text in (("echo", ECHO), ("scatter", SCATTER), ("chain", CHAIN), ("length", LENGTH)):
        (directory / f"{name}.cwl").write_text(text)
    large = ECHO.replace("baseCommand", "requirements: {ResourceRequirement: {coresMin: 2}}\nbaseCommand")
    (directory / "large.cwl").write_text(large)
    (directory / "program.py").write_text(PROGRAM)
    settings = {
        "CELERIAC_BROKER_URL": request.getfixturevalue(f"{request.param}_url"),
        "CELERIAC_JOURNAL_URL": new_database(postgresql_url, f"cluster_{request.param}"),
        "CELERIAC_HOME": str(directory / "home"),
        "CELERIAC_QUEUES": str(CHECKOUT / "queues.yaml"),
    }
    with workers(settings, directory):
        yield Cluster(directory, settings)


def test_a_scatter_in_several_chords(cluster: Cluster) -> None:
    messages = [str(number) for number in range(50)]
    outputs = cluster.celeriac("scatter.cwl", {"messages": messages})
    assert outputs == {"out": [f"{message}." for message in messages]}
    made = cluster.attempts("scatter.cwl")
    assert len(made) == 50, "no step was tried twice"
    assert len({attempt.batch for attempt in made}) > 1


def test_a_chain_over_both_queues(cluster: Cluster) -> None:
    assert cluster.celeriac("chain.cwl", {"message": "hello"}) == {"out": "hello..."}
    assert [attempt.queue for attempt in cluster.attempts("chain.cwl")] == ["default", "advanced", "default"]


def test_the_result_of_an_attempt_is_its_output_object(cluster: Cluster) -> None:
    cluster.celeriac("chain.cwl", {"message": "result"})
    settings = Settings.load(cluster.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERIAC_JOURNAL_URL", settings.journal)
        app = Celery("looks", broker=settings.worker_broker, backend=settings.worker_results, set_as_current=False)
        results = [app.AsyncResult(made.id).get(timeout=PATIENCE) for made in cluster.attempts("chain.cwl")]
        app.close()
    assert results == [{"out": "result."}, {"out": "result.."}, {"out": "result..."}]


def test_a_program_with_its_own_app(cluster: Cluster) -> None:
    settings = Settings.load(cluster.settings)
    argv = (sys.executable, "program.py", settings.worker_broker, settings.worker_results, "hello")
    answer = json.loads(cluster.run(*argv))
    assert answer["one"] == {"out": "hello..."}
    assert answer["several"] == [{"out": "a."}, {"out": "b."}]
    assert "message" in answer["refused"]


def test_messages_and_results_larger_than_a_frame(cluster: Cluster) -> None:
    settings = Settings.load(cluster.settings)
    message = "ä" * 500_000
    assert cluster.celeriac("length.cwl", {"message": message}) == {"length": 500_000, "copy": message}
    program = PROGRAM.replace("chain.cwl", "length.cwl").replace("sys.argv[1:4]", "[*sys.argv[1:3], 'x' * 500_000]")
    (cluster.directory / "large.py").write_text(program)
    argv = (sys.executable, "large.py", settings.worker_broker, settings.worker_results)
    assert json.loads(cluster.run(*argv))["one"]["length"] == 500_000


def test_each_worker_serves_the_control_queue_too(cluster: Cluster) -> None:
    out = cluster.run(str(BIN / "celery"), f"--workdir={CHECKOUT}", "inspect", "active_queues", "--json")
    answers = json.loads(out[out.index("{") :].splitlines()[0])
    served = {name.partition("@")[0]: {queue["name"] for queue in queues} for name, queues in answers.items()}
    assert served == {"default": {"default", "celeriac"}, "advanced": {"advanced", "celeriac"}}


# --- refused at start ------------------------------------------------------------------------------

BROKERS = ["redis://:secret@127.0.0.1:{port}/0", "amqp://guest:secret@127.0.0.1:{port}//"]


def worker(broker: str, home: Path, *options: str) -> subprocess.Popen[str]:
    """Start a worker that will not come to work."""
    settings = {"CELERIAC_BROKER_URL": broker, "CELERIAC_JOURNAL_URL": f"sqlite:///{home}/j.db"}
    return subprocess.Popen(
        [BIN / "celery", "worker", "-c", "1", *options],
        cwd=CHECKOUT,
        env={**os.environ, **settings, "CELERIAC_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("option", ["-Q", "-X"])
def test_a_queue_that_is_none_is_refused(broker: str, option: str, tmp_path: Path) -> None:
    process = worker(broker.format(port=free_port()), tmp_path, option, "advnaced,default")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said.splitlines() == [
        "celeriac: error: there is no queue 'advnaced': did you mean 'advanced'?",
        f"  {CHECKOUT / 'queues.yaml'} has advanced, default",
    ]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_broker_that_is_not_there_is_named(broker: str, tmp_path: Path) -> None:
    url = broker.format(port=free_port())
    process = worker(url, tmp_path, "-Q", "advanced", "--logfile", str(tmp_path / "log"))
    wanted = f"Cannot connect to {url.replace('secret', '**')}"
    try:
        deadline = time.monotonic() + PATIENCE
        log = tmp_path / "log"
        while not (log.exists() and wanted in log.read_text()):
            assert process.poll() is None and time.monotonic() < deadline, log.exists() and log.read_text()
            time.sleep(0.1)
        assert "secret" not in log.read_text()
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
