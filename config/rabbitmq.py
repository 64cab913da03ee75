"""RabbitMQ: queues that hold back nothing, a slot that is always free for control tasks, old servers.

Quorum queues know a prefetch limit for each consumer only, so a worker is sent as many messages of *each*
of its queues as it has slots. Messages that find the slots taken wait for a step's end, though another
worker has nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from kombu import Queue
from kombu.utils.text import version_string_as_tuple

from celeriac.resources import CONTROL_QUEUE

log = logging.getLogger(__name__)

#: Milliseconds that a step may take before the server wants its message back: 24 days, near the largest there is.
CONSUMER_TIMEOUT = 24 * 24 * 3600 * 1000

#: The first server that takes the timeout from a queue.
KNOWS_TIMEOUT = (3, 11, 15)


class LimitedQueue(Queue):
    """A queue whose consumers are sent at most ``prefetch`` messages ahead of their acknowledgements."""

    attrs: Any = (*Queue.attrs, ("prefetch", int))
    prefetch = 0  # 0: what the channel has

    def consume(self, *args: Any, **options: Any) -> Any:
        """Start to consume; the limit set before holds for this consumer."""
        if self.prefetch:
            self.channel.basic_qos(0, self.prefetch, False)
        return super().consume(*args, **options)  # type: ignore[no-untyped-call]


def worker_queues(queues: Iterable[Queue]) -> tuple[Queue, ...]:
    """Return the queues as workers consume from them, with a timeout that outlasts every step.

    RabbitMQ 3.12 to 4.2 takes the timeout from the queue's arguments, later ones from the consumer's too.
    """
    return tuple(LimitedQueue(**_outlasting(queue)) for queue in queues)  # type: ignore[no-untyped-call]


def _outlasting(queue: Queue) -> dict[str, Any]:
    fields: dict[str, Any] = queue.as_dict()
    if queue.name != CONTROL_QUEUE:  # clients declare that one too, and plainly
        timeout = {"x-consumer-timeout": CONSUMER_TIMEOUT}
        fields["queue_arguments"] = {**(fields["queue_arguments"] or {}), **timeout}
        fields["consumer_arguments"] = timeout
    return fields


def limit_ahead(queues: Any, names: Sequence[str], slots: int) -> int:
    """Have each of a worker's queues send it no more steps than it has slots; return the most that it may get.

    With several queues these may be more than its slots: they wait, though another worker may be free.
    """
    if len(names) > 1:
        log.warning(
            "this worker serves %s: on RabbitMQ it can be sent steps that wait while another worker is free; "
            "start one worker a queue to avoid that",
            ", ".join(names),
        )
    for name in names:
        queues[name].prefetch = slots
    return slots * len(names)


def warn_of_old_server(sender: Any, **rest: Any) -> None:
    """Say so when the server can't be told how long a step may take."""
    properties = getattr(sender.connection.connection, "server_properties", {})
    version = str(properties.get("version", ""))
    if properties.get("product") == "RabbitMQ" and version_string_as_tuple(version) < KNOWS_TIMEOUT:
        log.warning(
            "RabbitMQ %s can't be told how long a step may take: one that takes longer than the server's "
            "consumer_timeout (30 minutes unless set) ends this worker and is tried again. "
            "Set consumer_timeout = %d in its rabbitmq.conf, or use RabbitMQ 3.12 or later",
            version,
            CONSUMER_TIMEOUT,
        )


def quieten(**rest: Any) -> None:
    """Silence warnings about tasks with an ETA at every worker's start: Celeriac has none."""
    logging.getLogger("kombu.transport.native_delayed_delivery").setLevel(logging.ERROR)
