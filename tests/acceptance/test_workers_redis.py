"""Two workers on Redis, with a journal in PostgreSQL: where steps go, and what is left when workers die."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
import redis
from celery import Celery

from celeriac import names
from tests.acceptance.commands import HANG, Desk
from tests.acceptance.workers import Site, echo, processes, until
from tests.integration.cluster import new_database

#: Waits till a file is there, and says in another that it has started.
WAIT = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
arguments: ["echo $$ >> $1; until [ -e $2 ]; do sleep 0.05; done; echo done > out.txt", sh]
inputs:
  started: {type: string, inputBinding: {position: 1}}
  gate: {type: string, inputBinding: {position: 2}}
outputs: {out: {type: File, outputBinding: {glob: out.txt}}}
"""
QUEUES = """\
cwlVersion: v1.2
class: Workflow
inputs: {message: string, cores: int}
outputs: {out: {type: string, outputSource: asked/out}}
steps:
  plain: {run: echo.cwl, in: {message: message}, out: [out]}
  wide: {run: wide.cwl, in: {message: plain/out}, out: [out]}
  roomy: {run: roomy.cwl, in: {message: wide/out}, out: [out]}
  asked: {run: asked.cwl, in: {message: roomy/out, cores: cores}, out: [out]}
"""
SCATTER = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {messages: "string[]"}
outputs: {out: {type: "string[]", outputSource: all/out}}
steps: {all: {run: echo.cwl, scatter: message, in: {message: messages}, out: [out]}}
"""
SLEEPERS = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {seconds: "string[]"}
outputs: {}
steps: {all: {run: sleep.cwl, scatter: seconds, in: {seconds: seconds}, out: []}}
"""
SLEEP = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: sleep
inputs: {seconds: {type: string, inputBinding: {}}}
outputs: {}
"""
ASKED = echo("ResourceRequirement: {coresMin: $(inputs.cores)}").replace("inputs: {", "inputs: {cores: int, ")


@pytest.fixture(scope="module")
def cluster(redis_url: str, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("workers")
    settings = {
        "BROKER_URL": redis_url.removesuffix("/0") + "/3",
        "JOURNAL_URL": new_database(postgresql_url, "workers_redis"),
        "LEASE": "6", "HEARTBEAT": "1", "SCAN_INTERVAL": "1", "CANCEL_POLL": "0.5",
    }  # fmt: skip
    site = Site(Desk(directory, {f"CELERIAC_{key}": value for key, value in settings.items()}))
    site.write(echo=echo(), wait=WAIT, queues=QUEUES, scatter=SCATTER, sleepers=SLEEPERS, sleep=SLEEP, asked=ASKED)
    site.write(wide=echo("ResourceRequirement: {coresMin: 2}"), roomy=echo("ResourceRequirement: {ramMin: 2000}"))
    with site.worker("default", "-Q", "default", "-c", "2"), site.worker("advanced", "-Q", "advanced", "-c", "1"):
        yield site


@pytest.fixture(autouse=True)
def _logs(cluster: Site) -> Iterator[None]:
    yield
    cluster.show_logs()


def _run(cluster: Site, document: str, **job: object) -> tuple[str, object]:
    """Run a document through the workers; returns the run and its outputs."""
    (cluster.desk.directory / "job.json").write_text(json.dumps(job))
    done = cluster.desk("run", "--no-container", "--quiet", document, "job.json")
    return cluster.newest(), json.loads(done.stdout)


def test_steps_go_to_the_queue_that_their_resources_ask_for(cluster: Site) -> None:
    run, outputs = _run(cluster, "queues.cwl", message="m", cores=2)
    assert outputs == {"out": "m...."}
    went = {made.path: (made.queue, made.number) for made in cluster.attempts(run)}
    assert went == {
        "plain": ("default", 1), "wide": ("advanced", 1), "roomy": ("advanced", 1), "asked": ("advanced", 1),
    }  # fmt: skip
    small, _ = _run(cluster, "queues.cwl", message="m", cores=1)
    assert {made.path: made.queue for made in cluster.attempts(small)}["asked"] == "default"


def test_what_no_queue_holds_is_refused_before_anything_is_written(cluster: Site) -> None:
    before = cluster.newest()
    cluster.write(huge=echo("ResourceRequirement: {coresMin: 64}"))
    done = cluster.desk("submit", "huge.cwl", "--message", "m", code=1)
    assert "64 CPUs" in done.stderr and "advanced (2 CPUs, 2048 MiB)" in done.stderr
    assert cluster.newest() == before


def test_a_scatter_of_two_hundred(cluster: Site) -> None:
    messages = [str(number) for number in range(200)]
    run, outputs = _run(cluster, "scatter.cwl", messages=messages)
    assert outputs == {"out": [f"{message}." for message in messages]}
    made = cluster.attempts(run)
    assert Counter((a.number, a.state, a.outcome) for a in made) == {(1, "SETTLED", "success"): 200}
    assert len({a.batch for a in made}) >= 200 // 32, "chords are of bounded width"


class Gate:
    """A tool that waits for the test."""

    def __init__(self, cluster: Site) -> None:
        self.started = cluster.desk.directory / f"started-{secrets.token_hex(4)}"
        self._open = cluster.desk.directory / f"open-{secrets.token_hex(4)}"
        words = ("wait.cwl", "--started", str(self.started), "--gate", str(self._open))
        self.run = cluster.submit(*words)

    def starts(self) -> int:
        """How many times the tool has started."""
        return len(self.started.read_text().splitlines()) if self.started.exists() else 0

    def open(self) -> None:
        """Let it end."""
        self._open.touch()


@contextmanager
def _celery(cluster: Site) -> Iterator[Celery]:
    settings = cluster.settings
    app = Celery("test", broker=settings.worker_broker, backend=settings.worker_results, set_as_current=False)
    yield app
    app.close()


def test_a_doubled_message_is_dropped(cluster: Site) -> None:
    gate = Gate(cluster)
    until(gate.starts, "the step does not start")
    attempt = cluster.attempts(gate.run)[0].id
    with _celery(cluster) as app, redis.Redis.from_url(cluster.settings.worker_broker) as broker:

        def double() -> None:
            app.send_task(names.EXECUTE, ([attempt],), task_id=attempt, queue="default")
            until(lambda: broker.llen("default") == 0, "nobody takes the second message")

        double()
        double()
        gate.open()
        assert cluster.ended(gate.run).state == "SUCCESS"
        double()
        result = app.AsyncResult(attempt).get(timeout=HANG)
    assert result["out"]["class"] == "File", "the step's result is as it was"
    assert gate.starts() == 1
    assert [(a.number, a.state) for a in cluster.attempts(gate.run)] == [(1, "SETTLED")]


def test_a_run_whose_message_is_doubled_is_one_run(cluster: Site) -> None:
    task, before = secrets.token_hex(8), len(cluster.runs())
    job = {"document": str(cluster.desk.directory / "echo.cwl"), "inputs": {"message": "m"}, "use_container": False}
    with _celery(cluster) as app, redis.Redis.from_url(cluster.settings.worker_broker) as broker:

        def send() -> None:
            app.send_task(names.RUN_WORKFLOW, kwargs=job, task_id=task, queue=names.CONTROL_QUEUE)

        for _ in range(3):
            send()
        assert app.AsyncResult(task).get(timeout=HANG) == {"out": "m."}
        send()
        until(lambda: broker.llen(names.CONTROL_QUEUE) == 0, "nobody takes the message")
        _run(cluster, "echo.cwl", message="another")
        assert app.AsyncResult(task).get(timeout=HANG) == {"out": "m."}
    assert len(cluster.runs()) == before + 2


def test_cancel_kills_the_tools_and_what_waits_never_starts(cluster: Site) -> None:
    seconds = [f"300.{secrets.randbelow(10**9):09}" for _ in range(6)]
    (cluster.desk.directory / "seconds.json").write_text(json.dumps({"seconds": seconds}))
    run = cluster.submit("sleepers.cwl", "seconds.json")

    def running() -> list[int]:
        return [pid for word in seconds for pid in processes(word)]

    until(lambda: len(running()) == 2 or None, "two tools do not start")
    cluster.desk("cancel", run)
    until(lambda: not running() or None, "the tools go on")
    assert cluster.ended(run).state == "CANCELED"
    made = cluster.attempts(run)
    assert Counter(a.started is not None for a in made) == {True: 2, False: 4}
    assert running() == []
    cluster.desk("cancel", run)
    assert cluster.run(run).state == "CANCELED"


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_worker_s_step_is_done_by_another(cluster: Site) -> None:
    with cluster.worker("spare", "-Q", "default", "-c", "1") as spare:
        gate = _at(cluster, spare)
        _kill(spare)
        until(lambda: gate.starts() == 2 or None, "nobody does the step again")
        tool = int(gate.started.read_text().splitlines()[0])
        until(lambda: not Path(f"/proc/{tool}").exists() or None, "the dead worker's tool goes on")
        gate.open()
        assert cluster.ended(gate.run).state == "SUCCESS"
    made = cluster.attempts(gate.run)
    assert [(a.number, a.state, a.outcome) for a in made] == [(1, "SETTLED", "handedBack"), (2, "SETTLED", "success")]
    assert made[0].owner != made[1].owner
    assert gate.starts() == 2


def _at(cluster: Site, worker: Popen[bytes]) -> Gate:
    """Return a gate at which a tool of this worker waits: another may be the first to take it."""
    for _ in range(20):
        gate = Gate(cluster)
        until(gate.starts, "the step does not start")
        if _parent(_pid(cluster.attempts(gate.run)[0].owner)) == worker.pid:
            return gate
        gate.open()
        assert cluster.ended(gate.run).state == "SUCCESS"
    raise AssertionError("the worker takes nothing")


def _pid(owner: str) -> int:
    return int(owner.split(":")[1])


def _kill(worker: Popen[bytes]) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(HANG)
