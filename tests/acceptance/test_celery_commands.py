"""Celery's own commands in a checkout: worker, inspect, flower, and what they say about mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from celeriac import names
from tests.acceptance.commands import HANG, Desk
from tests.acceptance.workers import CELERY, CHECKOUT, Site, echo, until
from tests.services.process import free_port, running

WORKFLOW = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {messages: "string[]", message: string}
outputs: {}
steps:
  say: {run: echo.cwl, in: {message: message}, out: [out]}
  all: {run: echo.cwl, scatter: message, in: {message: messages}, out: [out]}
"""
TASKS = {
    names.RUN_WORKFLOW, names.ADVANCE, names.EXECUTE, names.SETTLE, names.GATHER, names.CANCEL_RUN, names.CANCEL_STEP,
    names.OUTPUTS, names.NOTIFY, names.SWEEP,
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One worker, started without -Q."""
    directory = tmp_path_factory.mktemp("commands")
    site = Site(Desk(directory, {"CELERIAC_BROKER_URL": redis_url.removesuffix("/0") + "/5"}))
    site.write(echo=echo(), wf=WORKFLOW)
    with site.worker("all", "-c", "2"):
        yield site


@pytest.fixture(autouse=True)
def _logs(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "cluster" in request.fixturenames:
        request.getfixturevalue("cluster").show_logs()


def _celery(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `celery WORDS` in the checkout."""
    return subprocess.run([CELERY, *words], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=HANG)


def _inspect(cluster: Site, what: str) -> Any:
    done = _celery(cluster.desk.environment(), "inspect", what, "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout[done.stdout.index("{") :].splitlines()[0])
    assert len(answers) == 1
    return next(iter(answers.values()))


def _run(cluster: Site, **job: object) -> str:
    (cluster.desk.directory / "job.json").write_text(json.dumps(job))
    cluster.desk("run", "--no-container", "--quiet", "wf.cwl", "job.json")
    return cluster.newest()


def test_a_worker_without_options_serves_all_queues(cluster: Site) -> None:
    limits = {queue["name"]: queue["alias"] for queue in _inspect(cluster, "active_queues")}
    assert limits == {
        "celeriac": "scheduling; no step runs here",
        "default": "1 CPU, 1024 MiB a step",
        "advanced": "2 CPUs, 2048 MiB a step",
    }


def test_the_tasks_are_registered_by_their_names(cluster: Site) -> None:
    registered = {task.partition(" ")[0] for task in _inspect(cluster, "registered")}
    assert {task for task in registered if not task.startswith("celery.")} == TASKS


def test_the_configuration_loses_nothing(cluster: Site) -> None:
    conf = _inspect(cluster, "conf")
    assert conf["task_serializer"] == conf["result_serializer"] == "json"
    assert conf["task_create_missing_queues"] is conf["task_acks_late"] is False
    assert conf["worker_cancel_long_running_tasks_on_connection_loss"] is False


def test_what_runs_is_seen_by_its_step(cluster: Site) -> None:
    gate = cluster.desk.directory / "gate"
    sleeper = echo().replace('[printf, "%s."]', '[sh, -c, "until [ -e $0 ]; do sleep 0.05; done"]')
    cluster.write(echo=sleeper)
    (cluster.desk.directory / "gate.json").write_text(json.dumps({"message": str(gate), "messages": []}))
    run = cluster.submit("wf.cwl", "gate.json")
    try:
        active = until(lambda: _inspect(cluster, "active"), "no task is seen")
        host = _inspect(cluster, "slots")
    finally:
        gate.touch()
        cluster.ended(run)
        cluster.write(echo=echo())
    assert [task["name"] for task in active] == ["wf.cwl/say"]
    assert active[0]["id"] == cluster.attempts(run)[0].id, "the task's id is the attempt's"
    (step,) = host["steps"]
    assert (step["step"], step["attempt"], step["state"]) == ("wf.cwl/say", active[0]["id"], "runs")
    assert host["free"]["ram"] == host["budget"]["ram"] - step["ram"]
    assert host["holds"]["default"] >= 1


def test_what_a_host_has_is_inspected_while_nothing_runs(cluster: Site) -> None:
    host = until(lambda: found if not (found := _inspect(cluster, "slots"))["steps"] else None, "a slot is kept")
    assert host["free"] == host["budget"]


# --- Flower ----------------------------------------------------------------------------------------


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=HANG) as answer:
        return json.loads(answer.read())


@pytest.fixture
def flower(cluster: Site) -> Iterator[str]:
    """The address of a Flower that was started in the checkout."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    words = ["env", "-C", str(CHECKOUT), CELERY, "flower", "--address=127.0.0.1", f"--port={port}"]
    env = {**cluster.desk.environment(), "FLOWER_UNAUTHENTICATED_API": "true"}
    log = cluster.desk.directory / "flower.log"

    def ready() -> bool:
        return _get(f"{url}/api/tasks") is not None

    with running(words, ready=ready, not_yet=urllib.error.URLError, log=log, env=env):
        yield url


def _seen(cluster: Site, flower: str) -> tuple[str, dict[str, Any]]:
    """Run, and return the run and its steps in Flower once all are there."""
    run = _run(cluster, message="m", messages=["a", "b", "c"])
    made = {attempt.id: attempt.path for attempt in cluster.attempts(run)}

    def steps() -> dict[str, Any] | None:
        tasks = _get(f"{flower}/api/tasks")
        return {path: tasks[name] for name, path in made.items()} if made.keys() <= tasks.keys() else None

    return run, until(steps, "Flower does not show the steps", patience=5)


def _seen_at_last(cluster: Site, flower: str) -> tuple[str, dict[str, Any]]:
    """Flower answers before it listens, and knows of nothing that was before: run till it does."""
    for _ in range(10):
        with suppress(AssertionError):
            return _seen(cluster, flower)
    return _seen(cluster, flower)


def test_flower_shows_steps_by_their_names(cluster: Site, flower: str) -> None:
    run, steps = _seen_at_last(cluster, flower)
    names_ = {path: task["name"] for path, task in steps.items()}
    assert names_ == {"say": "wf.cwl/say"} | {f"all[{n}]": "wf.cwl/all" for n in range(3)}
    assert all(run in task["kwargs"] for task in steps.values()), "the run is told too"


# --- mistakes --------------------------------------------------------------------------------------


def _refused(directory: Path, *options: str, **env: str) -> str:
    """Start a worker that may not come to work; returns what it said."""
    (directory / "home").mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CELERIAC_")}
    settings = {"CELERIAC_HOME": str(directory / "home"), "CELERIAC_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    done = _celery({**environment, **settings, **env}, "worker", "-c", "1", *options)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said and "amqp://" not in said, said
    return said.strip()


def test_a_queue_that_is_none_is_named(tmp_path: Path) -> None:
    said = _refused(tmp_path, "-Q", "advnaced")
    assert "'advnaced'" in said and "advanced, default" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("advanced: {cpus: 2}\n", "queues.yaml:1: queue advanced: ram is missing"),
        ("a: {cpus: 1, ram: 1}\na: {cpus: 1, ram: 1}\n", "queues.yaml:2: queue 'a' is there twice"),
        ("", "queues.yaml:1: the queue file is empty"),
        ("a: [\n", "queues.yaml:2: not valid YAML"),
    ],
)
def test_a_bad_queue_file_is_one_message(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(text)
    said = _refused(tmp_path, CELERIAC_QUEUES=str(file))
    assert said.startswith("celeriac: ") and expected in said
    assert len(said.splitlines()) <= 2, said


def test_a_queue_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.yaml") in _refused(tmp_path, CELERIAC_QUEUES=str(tmp_path / "none.yaml"))


def test_a_bad_setting_is_one_message(tmp_path: Path) -> None:
    said = _refused(tmp_path, CELERIAC_LEASE="soon")
    assert "CELERIAC_LEASE is 'soon'" in said and len(said.splitlines()) <= 2


def test_other_commands_say_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "CELERIAC_QUEUES": str(tmp_path / "none.yaml")}
    for words in (["inspect", "ping"], ["flower"], ["report"]):
        done = _celery(environment, *words)
        assert done.returncode != 0 and "none.yaml" in done.stderr + done.stdout, words
        assert "Traceback" not in done.stderr + done.stdout
