"""The names that others rely on: tasks and the control queue. They do not change."""

from __future__ import annotations

from celeriac.resources import CONTROL_QUEUE

RUN_WORKFLOW = "celeriac.run_workflow"
ADVANCE = "celeriac.advance"
EXECUTE = "celeriac.execute"
SETTLE = "celeriac.settle"
GATHER = "celeriac.gather"
CANCEL_RUN = "celeriac.cancel_run"
CANCEL_STEP = "celeriac.cancel_step"
OUTPUTS = "celeriac.outputs"
SWEEP = "celeriac.sweep"
NOTIFY = "celeriac.notify"

_CONTAINER = "celeriac-"

__all__ = [
    "ADVANCE", "CANCEL_RUN", "CANCEL_STEP", "CONTROL_QUEUE", "EXECUTE", "GATHER", "NOTIFY", "OUTPUTS", "RUN_WORKFLOW",
    "SETTLE", "SWEEP", "attempt_of", "container_of", "is_rabbitmq",
]  # fmt: skip


def is_rabbitmq(url: str) -> bool:
    """Whether a broker's URL names RabbitMQ."""
    return url.startswith(("amqp", "pyamqp"))


def container_of(attempt: str) -> str:
    """Return the name of an attempt's container."""
    return f"{_CONTAINER}{attempt}"


def attempt_of(container: str) -> str:
    """Return the attempt whose container has this name."""
    return container.removeprefix(_CONTAINER)
