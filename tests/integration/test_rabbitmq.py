"""RabbitMQ: a busy worker holds nothing back, and the server is told how long steps may take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from kombu.utils.text import version_string_as_tuple

from celeriac.names import CONTROL_QUEUE
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from config import rabbitmq
from config.celery_settings import cluster as celery_settings
from tests.conformance.cluster import WORKERS, workers
from tests.integration.cluster import BIN, CHECKOUT, ECHO, PATIENCE, Cluster, new_database

#: Takes the only slot of the queue ``advanced`` until somebody makes the file GATE.
BLOCKED = """\
cwlVersion: v1.2
class: CommandLineTool
requirements: {ResourceRequirement: {coresMin: 1, ramMin: 1500}}
baseCommand: [sh, -c, 'touch "$1.begun"; for i in $(seq 1200); do [ -e "$1" ] && exit; sleep 0.1; done; exit 1', sh]
inputs: {gate: {type: string, inputBinding: {}}}
outputs: []
"""

CHAIN = """\
cwlVersion: v1.2
class: Workflow
inputs: {message: string}
outputs: {out: {type: string, outputSource: third/out}}
steps:
  first: {run: echo.cwl, in: {message: message}, out: [out]}
  second: {run: echo.cwl, in: {message: first/out}, out: [out]}
  third: {run: echo.cwl, in: {message: second/out}, out: [out]}
"""

#: Its items fail when two of them run at once.
ALONE = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {locks: "string[]"}
outputs: []
steps:
  all:
    scatter: lock
    in: {lock: locks}
    out: []
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: 2}}
      baseCommand: [sh, -c, 'mkdir "$1" && sleep 0.2 && rmdir "$1"', sh]
      inputs: {lock: {type: string, inputBinding: {}}}
      outputs: []
"""


@pytest.fixture(scope="module")
def cluster(
    rabbitmq_url: str, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two workers whose scan does not come to the rescue of what waits in the wrong place."""
    directory = tmp_path_factory.mktemp("rabbitmq")
    for name, text in (("echo", ECHO), ("chain", CHAIN), ("blocked", BLOCKED), ("alone", ALONE)):
        (directory / f"{name}.cwl").write_text(text)
    settings = {
        "CELERIAC_BROKER_URL": rabbitmq_url,
        "CELERIAC_JOURNAL_URL": new_database(postgresql_url, "rabbitmq"),
        "CELERIAC_HOME": str(directory / "home"),
        "CELERIAC_QUEUES": str(CHECKOUT / "queues.yaml"),
        "CELERIAC_SCAN_INTERVAL": "3600",
    }
    with workers(settings, directory):
        yield Cluster(directory, settings)


def until(done: Callable[[], Any], cluster: Cluster) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(f"it does not come about\n{cluster.logs()}", pytrace=False)
        time.sleep(0.05)


@contextmanager
def blocked(cluster: Cluster, *names: str) -> Iterator[None]:
    """Submit steps that do not end before the block does; the first of them runs."""
    celeriac, gates = str(BIN / "celeriac"), [cluster.directory / name for name in names]
    submitted = []
    try:
        for gate in gates:
            run = cluster.run(celeriac, "submit", "--no-container", "blocked.cwl", "--gate", str(gate))
            submitted.append(run.strip())
            until(lambda: Path(f"{gates[0]}.begun").exists(), cluster)
        yield
    finally:
        for gate in gates:
            gate.touch()
    for run in submitted:
        cluster.run(celeriac, "status", "--watch", run)


def test_a_busy_worker_holds_back_no_control_task(cluster: Cluster) -> None:
    with blocked(cluster, "one"):
        for number in range(4):
            assert cluster.celeriac("chain.cwl", {"message": str(number)}) == {"out": f"{number}..."}


def test_a_busy_worker_takes_no_further_step(cluster: Cluster, rabbitmq_url: str) -> None:
    def waiting() -> int:
        with Connection(rabbitmq_url) as connection, connection.channel() as channel:
            return int(channel.queue_declare("advanced", passive=True).message_count)

    with blocked(cluster, "two", "three"):
        until(lambda: waiting() == 1, cluster)
        assert not Path(cluster.directory / "three.begun").exists()


def test_the_slot_for_control_tasks_runs_no_step(cluster: Cluster) -> None:
    assert WORKERS["advanced"] == 1
    assert cluster.celeriac("alone.cwl", {"locks": [str(cluster.directory / "lock")] * 6}) == {}


def test_an_old_server_is_named_in_the_log(cluster: Cluster, rabbitmq_url: str) -> None:
    with Connection(rabbitmq_url) as connection:
        version = connection.connection.server_properties["version"]
    old = version_string_as_tuple(version) < rabbitmq.KNOWS_TIMEOUT
    for queue in WORKERS:
        said = (cluster.directory / f"worker-{queue}.log").read_text()
        assert (f"RabbitMQ {version} can't be told how long a step may take" in said) is old


def test_the_log_tells_of_nothing_that_does_not_matter(cluster: Cluster) -> None:
    for queue in WORKERS:
        said = (cluster.directory / f"worker-{queue}.log").read_text()
        assert "delayed delivery" not in said
        assert "Traceback" not in said


@pytest.mark.parametrize("queue", [CONTROL_QUEUE, *WORKERS])
def test_all_queues_are_quorum_queues(cluster: Cluster, rabbitmq_url: str, queue: str) -> None:
    with Connection(rabbitmq_url) as connection, pytest.raises(connection.channel_errors, match="x-queue-type"):
        kind = {"x-queue-type": "classic"}
        connection.channel().queue_declare(queue, durable=True, auto_delete=False, arguments=kind)


def test_what_is_published_is_confirmed(cluster: Cluster) -> None:
    with app(Settings.load(cluster.settings)) as made, made.connection_for_write() as connection:
        with made.amqp.Producer(connection) as producer:
            producer.publish({}, exchange=CONTROL_QUEUE, routing_key="nobody")
            assert producer.channel._confirm_selected


# --- no server is needed for these -----------------------------------------------------------------

LIMITS = (QueueLimits("default", cpus=1, ram=1024), QueueLimits("advanced", cpus=2, ram=2048))
RABBITMQ = Settings(broker_url="amqp://guest:guest@127.0.0.1:1//")


@contextmanager
def app(settings: Settings) -> Iterator[Celery]:
    made = Celery("rabbitmq-test", set_as_current=False)
    made.conf.update(celery_settings(settings, LIMITS))
    yield made
    made.close()


def test_the_timeout_outlasts_steps_and_fits_32_bits() -> None:
    with app(RABBITMQ) as made:
        for name in WORKERS:
            queue = made.amqp.queues[name]
            assert queue.queue_arguments == {"x-queue-type": "quorum", "x-consumer-timeout": rabbitmq.CONSUMER_TIMEOUT}
            assert queue.consumer_arguments == {"x-consumer-timeout": rabbitmq.CONSUMER_TIMEOUT}
        # as clients declare it, and as they did with older versions
        assert made.amqp.queues[CONTROL_QUEUE].queue_arguments == {"x-queue-type": "quorum"}
    assert 14 * 24 * 3600 * 1000 < rabbitmq.CONSUMER_TIMEOUT < 2**31


@pytest.mark.parametrize("names", [["advanced"], ["advanced", "default"]])
def test_no_queue_sends_more_steps_than_there_are_slots(names: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with app(RABBITMQ) as made, caplog.at_level(logging.WARNING):
        assert rabbitmq.limit_ahead(made.amqp.queues, names, 3) == 3 * len(names)
        limits = {name: made.amqp.queues[name].prefetch for name in WORKERS}
    assert limits == {name: 3 if name in names else 0 for name in WORKERS}
    assert ("this worker serves advanced, default" in caplog.text) is (len(names) > 1)


@pytest.mark.parametrize(
    ("properties", "warned"),
    [
        ({"product": "RabbitMQ", "version": "3.10.8"}, True),
        ({"product": "RabbitMQ", "version": "3.11.15"}, False),
        ({"product": "RabbitMQ", "version": "4.2.0-rc.1"}, False),
        ({"product": "LavinMQ", "version": "2.0.0"}, False),
        ({}, False),
    ],
)
def test_which_server_is_old(properties: dict[str, str], warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    connection = SimpleNamespace(connection=SimpleNamespace(server_properties=properties))
    with caplog.at_level(logging.WARNING):
        rabbitmq.warn_of_old_server(SimpleNamespace(connection=connection))
    assert ("can't be told" in caplog.text) is warned
