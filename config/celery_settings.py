"""Settings -> Celery's configuration: the one that loses nothing (docs/decisions/0006-celery-settings.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kombu import Queue

from celeriac.names import CONTROL_QUEUE, EXECUTE, is_rabbitmq
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from config.rabbitmq import worker_queues
from queues.kombu_queues import task_queues

#: Seconds after which Redis gives an unacknowledged message to another worker. Early acks make it rare.
VISIBILITY = 12 * 3600
DAY = 24 * 3600


def common(queues: Sequence[QueueLimits], *, quorum: bool) -> dict[str, Any]:
    """What holds for every broker."""
    return {
        "imports": ("tasks",),
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_queues": task_queues(queues, quorum=quorum),
        "task_create_missing_queues": False,  # a typo in -Q fails at start
        "task_default_queue": CONTROL_QUEUE,
        "task_default_exchange": CONTROL_QUEUE,
        "task_default_routing_key": CONTROL_QUEUE,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "task_reject_on_worker_lost": False,  # it loops on out-of-memory; the journal counts instead
        "worker_lost_wait": 0.5,  # seconds till a step whose process died is given up
        "task_annotations": {EXECUTE: {"max_retries": 0}},
        "result_expires": DAY,
        "result_extended": True,
        "broker_connection_retry_on_startup": True,
        "worker_soft_shutdown_timeout": 5.0,  # of a cold shutdown; before it, what runs was handed back
        "timezone": "UTC",
    }


def cluster(settings: Settings, queues: Sequence[QueueLimits]) -> dict[str, Any]:
    """For workers and clients that share a broker."""
    broker = settings.worker_broker
    rabbitmq = is_rabbitmq(broker)
    conf = {
        **common(queues, quorum=rabbitmq),
        "broker_url": broker,
        "result_backend": settings.worker_results,
        "worker_send_task_events": True,
        "task_send_sent_event": False,  # it has no shadow name, and may come last
    }
    return conf | (_rabbitmq(conf["task_queues"]) if rabbitmq else _redis(broker))


def _redis(url: str) -> dict[str, Any]:
    # a Unix socket's connection is never silently gone, and redis-py refuses the option for it
    keepalive = {} if url.startswith(("redis+socket", "socket", "unix")) else {"socket_keepalive": True}
    return {
        "task_acks_late": False,  # a visibility timeout would run a long step twice
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,  # 10 times the interval otherwise
            "queue_order_strategy": "priority",  # the control queue comes first
            "health_check_interval": 30,
            **keepalive,
        },
        "redis_socket_keepalive": bool(keepalive),
        "redis_backend_health_check_interval": 30,
    }


def _rabbitmq(queues: Sequence[Queue]) -> dict[str, Any]:
    return {
        "task_queues": worker_queues(queues),
        "task_acks_late": True,  # an early ack would have the next message wait behind a step
        "worker_detect_quorum_queues": True,  # they refuse a limit for the whole channel
        "broker_transport_options": {"confirm_publish": True},
        "result_backend_always_retry": True,  # of the journal's database: it may be away for a moment
        "result_backend_max_retries": 10,
    }


def embedded(queues: Sequence[QueueLimits]) -> dict[str, Any]:
    """For a run in this process alone: no server."""
    return {
        **common(queues, quorum=False),
        "broker_url": "memory://",
        "result_backend": "cache+memory://",
        "broker_transport": "config.embedded_broker:Transport",
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "worker_prefetch_multiplier": 0,  # all messages come in at once: steps wait in their own lane of the pool
        "result_extended": False,
    }
