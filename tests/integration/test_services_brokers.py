"""A message goes through each broker and comes back."""

from __future__ import annotations

import pytest
import redis
from kombu import Connection


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
        assert client.config_get("bind")["bind"] == "127.0.0.1"


@pytest.mark.parametrize("broker", ["redis_url", "rabbitmq_url"])
def test_what_is_published_is_consumed(broker: str, request: pytest.FixtureRequest) -> None:
    with Connection(request.getfixturevalue(broker)) as connection:
        with connection.SimpleQueue("services") as queue:
            queue.put({"step": "align"})
            message = queue.get(timeout=10)
            message.ack()
    assert message.payload == {"step": "align"}


def test_rabbitmq_takes_quorum_queues(rabbitmq_url: str) -> None:
    with Connection(rabbitmq_url) as connection:
        channel = connection.channel()
        channel.queue_declare("quorum", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        assert channel.queue_purge("quorum") == 0
