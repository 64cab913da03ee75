"""A worker takes scheduling messages on a channel of their own, so that steps never hold them up.

The worker has one process more than it runs steps. Its step channel takes no more messages than there
are slots, whatever waits there; so one process is always free for what the control channel brings.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from celery import bootsteps
from celery.worker import state
from kombu import Consumer

from celeriac.names import CONTROL_QUEUE, EXECUTE

#: Control messages that a worker may have beside the one that it works on.
AHEAD = 2


class ControlLane(bootsteps.ConsumerStep):  # type: ignore[misc]
    """Consumes the control queue, and has the step channel take no more than there are slots."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Keep the step channel to its slots, and start to consume; also after every reconnect."""
        self.consumers = None
        slots = getattr(c.controller, "celeriac_slots", 0)
        if not slots:  # a worker for the control queue alone
            return
        if c.connection.transport.driver_type != "amqp":  # there the broker itself keeps to a prefetch limit
            _limit_steps(c.task_consumer.channel.qos, slots)
        self.consumers = [self._consumer(c)]
        if not c.hub:
            self._consume()

    def register_with_event_loop(self, c: Any, hub: Any) -> None:
        """Start to consume where there is an event loop: before this, its pool takes no task."""
        self._consume()

    def _consume(self) -> None:
        for consumer in self.consumers or ():
            consumer.consume()

    def _consumer(self, c: Any) -> Consumer:
        channel = c.connection.channel()
        channel.basic_qos(0, AHEAD, False)
        consumer = Consumer(
            channel,
            [c.app.amqp.queues[CONTROL_QUEUE]],
            accept=c.app.conf.accept_content,
            on_decode_error=c.on_decode_error,
        )
        consumer.on_message = c.create_task_handler()
        return consumer


def _limit_steps(qos: Any, slots: int) -> None:
    """Take a step's message only when there is a slot for it: what is not taken goes to another worker."""
    original = qos.can_consume

    def can_consume(self: Any) -> bool:
        steps = sum(request.type == EXECUTE for request in state.reserved_requests)
        return steps < slots and bool(original())

    qos.can_consume = MethodType(can_consume, qos)
