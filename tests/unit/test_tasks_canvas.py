"""What goes to the broker: queues, priorities by lane, ids; and a queue that came into the file later."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import kombu.transport
import pytest
from celery import Celery
from kombu.transport import memory

from celeriac import names
from celeriac.engine.dispatch import FIRST, LATER
from celeriac.errors import BrokerUnavailable
from celeriac.resources import QueueLimits
from config.composition import _know
from queues.kombu_queues import task_queues
from tasks.canvas import CeleryPublisher

REDIS, RABBITMQ = "redis://nowhere/0", "amqp://nowhere//"
PRIORITIES = [(REDIS, FIRST, 0), (REDIS, LATER, 6), (RABBITMQ, FIRST, 9), (RABBITMQ, LATER, 0)]

_numbers = itertools.count()


@dataclass
class Broker:
    """An app whose broker is in this process, whatever its URL says; queues are this test's own."""

    app: Celery
    default: str
    later: str
    file: list[QueueLimits]  # what the queue file says now

    @property
    def publisher(self) -> CeleryPublisher:
        return CeleryPublisher(self.app, lambda name: _know(self.app, name, lambda: self.file))

    def messages(self, queue: str) -> list[Any]:
        """Take all messages of a queue."""
        found = []
        with self.app.connection_for_read() as connection:
            bound = self.app.amqp.queues[queue](connection.default_channel)
            bound.declare()
            while (message := bound.get(no_ack=True)) is not None:
                found.append(message)
        return found


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Broker]]:
    for name in ("redis", "amqp"):
        monkeypatch.setitem(kombu.transport._transport_cache, name, memory.Transport)
    apps = []

    def make(url: str) -> Broker:
        number = next(_numbers)
        limits = [QueueLimits(f"default-{number}", 1, 1024)]
        app = Celery("test", broker=url, backend="cache+memory://", set_as_current=False)
        app.conf.update(task_queues=task_queues(limits, quorum=False), task_create_missing_queues=False)
        apps.append(app)
        return Broker(app, f"default-{number}", f"later-{number}", limits)

    yield make
    for app in apps:
        app.close()


def sent(messages: Sequence[Any]) -> list[tuple[str, list[Any], int | None]]:
    """Return each message's task, arguments and priority."""
    return [(m.headers["task"], m.payload[0], m.properties.get("priority")) for m in messages]


def chain(broker: Broker, lane: int, queue: str | None = None, attempt: str = "a1") -> None:
    broker.publisher.publish(
        "r1", "chain", {"attempt": attempt, "queue": queue or broker.default, "lane": lane, "shadow": "wf/s"}
    )


def chord(broker: Broker, bundles: list[list[str]], queue: str | None = None, lane: int = FIRST) -> None:
    payload = {"batch": "b", "bundles": bundles, "queue": queue or broker.default, "lane": lane, "shadow": "wf/s"}
    broker.publisher.publish("r1", "chord", payload)


@pytest.mark.parametrize(("url", "lane", "priority"), PRIORITIES)
def test_a_step_s_priority_is_that_of_its_lane(
    broker: Callable[[str], Broker], url: str, lane: int, priority: int
) -> None:
    made = broker(url)
    chain(made, lane)
    (message,) = made.messages(made.default)
    assert sent([message]) == [(names.EXECUTE, [["a1"]], priority)]
    assert (message.headers["id"], message.headers["shadow"]) == ("a1", "wf/s")
    assert "r1" in message.headers["kwargsrepr"]


@pytest.mark.parametrize(("url", "lane", "priority"), PRIORITIES)
def test_the_items_of_a_chord_have_the_priority_of_their_lane(
    broker: Callable[[str], Broker], url: str, lane: int, priority: int
) -> None:
    made = broker(url)
    chord(made, [["a0"], ["a1", "a2"], ["a3"]], lane=lane)
    assert sent(made.messages(made.default)) == [
        (names.EXECUTE, [bundle], priority) for bundle in (["a0"], ["a1", "a2"], ["a3"])
    ]


@pytest.mark.parametrize("url", [REDIS, RABBITMQ])
def test_one_message_of_several_items_goes_in_a_chain(broker: Callable[[str], Broker], url: str) -> None:
    made = broker(url)
    chord(made, [["a1", "a2"]])
    (message,) = made.messages(made.default)
    assert (message.payload[0], message.headers["id"]) == ([["a1", "a2"]], "a1")
    (gather,) = message.payload[2]["chain"]
    assert (gather["task"], gather["args"]) == (names.GATHER, ["r1", "b"])


@pytest.mark.parametrize("url", [REDIS, RABBITMQ])
def test_what_follows_a_step_waits_behind_no_lane(broker: Callable[[str], Broker], url: str) -> None:
    made = broker(url)
    made.messages(names.CONTROL_QUEUE)
    chain(made, LATER)
    (message,) = made.messages(made.default)
    (settle,) = message.payload[2]["chain"]
    assert (settle["task"], settle["args"]) == (names.SETTLE, ["r1", "a1"])
    assert settle["options"]["queue"] == names.CONTROL_QUEUE and "priority" not in settle["options"]
    made.publisher.publish("r1", "advance", {})
    assert sent(made.messages(names.CONTROL_QUEUE)) == [(names.ADVANCE, ["r1"], 0)]


# --- a queue that came later ---------------------------------------------------------------------


def test_a_queue_that_came_into_the_file_later_is_sent_to(broker: Callable[[str], Broker]) -> None:
    made = broker(REDIS)
    made.file.append(QueueLimits(made.later, 8, 16384))
    chain(made, FIRST, made.later)
    assert sent(made.messages(made.later)) == [(names.EXECUTE, [["a1"]], 0)]
    queue = made.app.amqp.queues[made.later]
    assert (queue.exchange.name, queue.exchange.type, queue.durable) == (made.later, "direct", True)
    assert "8 CPUs, 16384 MiB" in queue.alias


def test_a_queue_that_has_gone_from_the_file_is_sent_to_by_the_runs_that_have_it(
    broker: Callable[[str], Broker],
) -> None:
    made = broker(REDIS)
    chain(made, FIRST, made.later)
    assert sent(made.messages(made.later)) == [(names.EXECUTE, [["a1"]], 0)]


def test_items_on_queues_that_came_later_are_sent_too(broker: Callable[[str], Broker]) -> None:
    made = broker(REDIS)
    chord(made, [["a1"], ["a2"]], made.later)
    assert len(made.messages(made.later)) == 2


@pytest.mark.parametrize(("url", "arguments"), [(REDIS, None), (RABBITMQ, {"x-queue-type": "quorum"})])
def test_it_is_declared_as_the_others_are(broker: Callable[[str], Broker], url: str, arguments: Any) -> None:
    made = broker(url)
    chain(made, FIRST, made.later)
    assert made.app.amqp.queues[made.later].queue_arguments == arguments


def test_a_worker_does_not_start_to_serve_it(broker: Callable[[str], Broker]) -> None:
    made = broker(REDIS)
    made.app.amqp.queues.select([made.default])
    chain(made, FIRST, made.later)
    assert list(made.app.amqp.queues.consume_from) == [made.default]


def test_a_known_queue_stays_as_it_was_declared(broker: Callable[[str], Broker]) -> None:
    made = broker(REDIS)
    before = made.app.amqp.queues[made.default]
    chain(made, FIRST)
    assert made.app.amqp.queues[made.default] is before


# --- trouble -------------------------------------------------------------------------------------


def test_a_broker_that_does_not_answer_is_named_without_its_password(
    broker: Callable[[str], Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = broker("redis://user:secret@nowhere/0")

    def refuses(*arguments: Any, **options: Any) -> Any:
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(made.app.amqp, "send_task_message", refuses)
    with pytest.raises(BrokerUnavailable, match="nowhere.* does not answer: connection refused") as caught:
        chain(made, FIRST)
    assert "secret" not in str(caught.value) and "CELERIAC_BROKER_URL" in caught.value.hint
