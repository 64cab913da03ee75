"""What Celery and the broker are told about the queues."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu import Connection  # type: ignore[attr-defined]  # exported lazily

from celeriac.resources import QueueLimits
from queues.kombu_queues import task_queues

LIMITS = (QueueLimits("advanced", 2, 2048), QueueLimits("default", 1, 1024))


def declared(quorum: bool) -> list[Any]:
    return list(task_queues(LIMITS, quorum=quorum))


def celery_app(quorum: bool) -> Celery:
    app = Celery("test", broker="memory://", set_as_current=False)
    app.conf.update(task_queues=task_queues(LIMITS, quorum=quorum), task_create_missing_queues=False)
    return app


def test_the_control_queue_first_then_the_names_of_the_file() -> None:
    assert [queue.name for queue in declared(quorum=False)] == ["celeriac", "advanced", "default"]


@pytest.mark.parametrize("quorum", [False, True])
def test_all_are_durable_direct_and_reached_by_their_name(quorum: bool) -> None:
    for queue in declared(quorum):
        assert (queue.durable, queue.auto_delete, queue.exclusive) == (True, False, False)
        assert (queue.exchange.name, queue.exchange.type) == (queue.name, "direct")
        assert queue.exchange.durable
        assert queue.routing_key == queue.name
        assert queue.queue_arguments == ({"x-queue-type": "quorum"} if quorum else None)


def test_each_message_reaches_its_queue_alone() -> None:
    connection: Any = Connection("memory://")  # type: ignore[no-untyped-call]
    with connection:
        queues = [queue(connection.default_channel) for queue in declared(quorum=False)]
        for queue in queues:
            queue.declare()
        for queue in queues:
            connection.Producer().publish(
                {"to": queue.name}, exchange=queue.exchange, routing_key=queue.routing_key
            )
        for queue in queues:
            assert queue.get(no_ack=True).payload == {"to": queue.name}
            assert queue.get(no_ack=True) is None


@pytest.mark.parametrize("quorum", [False, True])
def test_celery_takes_them_by_the_names_of_the_command_line(quorum: bool) -> None:
    app = celery_app(quorum)
    app.amqp.queues.select(["advanced", "default"])
    assert sorted(app.amqp.queues.consume_from) == ["advanced", "default"]
    # A queue that lost its arguments on the way would be refused by RabbitMQ.
    arguments = app.amqp.queues["advanced"].queue_arguments
    assert (arguments or {}).get("x-queue-type") == ("quorum" if quorum else None)


def test_a_queue_that_is_not_in_the_file_is_refused_by_celery() -> None:
    with pytest.raises(KeyError):
        celery_app(quorum=False).amqp.queues.select(["advancd"])
