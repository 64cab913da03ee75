"""The broker of an embedded run: its consumer is woken by a message, and hears of an end in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from kombu import Connection, Consumer, Producer, Queue

from config import embedded_broker

HANG = 30.0


@pytest.fixture
def queue() -> Queue:
    return Queue(f"q{time.monotonic_ns()}")


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection("memory://", transport="config.embedded_broker:Transport") as made:
        yield made


def send(queue: Queue, *bodies: int) -> None:
    with Connection("memory://", transport="config.embedded_broker:Transport") as other, other.channel() as channel:
        for body in bodies:
            Producer(channel).publish(body, routing_key=queue.name, declare=[queue])


def test_what_is_there_is_delivered_in_order(connection: Connection, queue: Queue) -> None:
    found: list[int] = []
    send(queue, 1, 2, 3)
    with Consumer(connection, [queue], callbacks=[lambda body, message: found.append(body)], no_ack=True):
        while len(found) < 3:
            connection.drain_events(timeout=HANG)
    assert found == [1, 2, 3]


@pytest.mark.timeout(60)
def test_one_that_waits_is_woken(connection: Connection, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "LONGEST", 1000.0)  # it does not look by itself
    found: list[int] = []
    with Consumer(connection, [queue], callbacks=[lambda body, message: found.append(body)], no_ack=True):
        for body in range(20):
            timer = threading.Timer(0.002 * (body % 3), send, (queue, body))
            timer.start()
            connection.drain_events(timeout=1000.0)
            timer.join()
    assert found == list(range(20))


def test_one_that_waits_for_nothing_hears_of_it(connection: Connection, queue: Queue) -> None:
    with Consumer(connection, [queue], callbacks=[print], no_ack=True), pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.05)
