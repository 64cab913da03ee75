"""Limits -> the broker's queues."""

from __future__ import annotations

from collections.abc import Iterable

from kombu import Exchange, Queue  # type: ignore[attr-defined]  # exported lazily

from celeriac.resources import CONTROL_QUEUE, QueueLimits


def task_queues(limits: Iterable[QueueLimits], *, quorum: bool) -> tuple[Queue, ...]:
    """Return Celery's ``task_queues``: the control queue, then one per limit under its exact name.

    Each is durable, with a direct exchange and a routing key of the same name, and says in its alias
    what a step on it may use: Flower and `celery inspect active_queues` show that. ``quorum`` asks
    RabbitMQ for quorum queues, on all of them: Celery switches a worker's whole channel to the kind
    of flow control that these need.
    """
    control = _queue(CONTROL_QUEUE, "scheduling; no step runs here", quorum)
    return (control, *(_queue(limit.name, f"{limit.amounts} a step", quorum) for limit in limits))


def _queue(name: str, alias: str, quorum: bool) -> Queue:
    return Queue(  # type: ignore[no-untyped-call]
        name,
        exchange=Exchange(name, type="direct", durable=True),  # type: ignore[no-untyped-call]
        routing_key=name,
        durable=True,
        alias=alias,
        queue_arguments={"x-queue-type": "quorum"} if quorum else None,
    )
