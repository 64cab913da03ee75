"""`celery inspect slots`: what a worker's host may give to steps, what has taken it, what is left.

And `celery inspect active_queues`, which Flower asks too, names the control queue beside Celery's own
answer: a worker takes from that one on another channel (config/control_lane.py).

A remote control command (Celery's documentation, Workers Guide, "Writing your own remote control
commands"). `celery inspect` has to know it too, at every start: so little is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from celery.worker.control import inspect_command

from celeriac.errors import CeleriacError
from celeriac.names import CONTROL_QUEUE
from celeriac.resources import Budget
from celeriac.slots import attempts_of

if TYPE_CHECKING:
    from queues.ledger import Line


def connect() -> None:
    """Have Celery know the command; to do it twice is the same as once."""
    inspect_command(name="slots")(host_slots)
    inspect_command(name="active_queues")(active_queues)


def active_queues(state: Any) -> list[dict[str, Any]]:
    """List the task queues a worker is currently consuming from."""
    shown = list(state.consumer.task_consumer.queues) if state.consumer.task_consumer else []
    control = state.app.amqp.queues[CONTROL_QUEUE]
    if shown and all(queue.name != CONTROL_QUEUE for queue in shown):
        shown.append(control)
    return [dict(queue.as_dict(recurse=True)) for queue in shown]


def host_slots(state: Any) -> dict[str, Any]:
    """What the steps on a worker's host have taken of it, and what is left (Celeriac)."""
    from config.composition import budget_of
    from queues.budget import slots
    from queues.ledger import overview

    engine = state.app.celeriac
    try:
        budget = budget_of(engine.settings)
        lines = overview(engine.settings.slots_directory)
    except CeleriacError as error:
        return {"error": str(error)}
    own = set(state.app.amqp.queues.consume_from)
    return {
        "host": engine.host,
        "budget": budget.to_json(),
        "free": free(budget, lines).to_json(),
        "holds": {queue.name: slots(budget, queue) for queue in engine.queues if queue.name in own},
        "steps": [_step(line) for line in lines],
    }


def free(budget: Budget, lines: Sequence[Line]) -> Budget:
    """Return what nothing has taken; less than nothing where somebody oversubscribes."""
    taken = [line for line in lines if not line.waiting]
    leased = {gpu for line in taken for gpu in line.gpus}
    return Budget(
        # CPUs are granted in fractions, and sums of floats are not exact
        round(budget.cpus - sum(line.resources.cpus for line in taken), 6),
        budget.ram - sum(line.resources.ram for line in taken),
        tuple(gpu for gpu in budget.gpus if gpu not in leased),
    )


def _step(line: Line) -> dict[str, Any]:
    from celery.worker.state import requests

    attempt = attempts_of(line.name)[0]
    known = requests.get(attempt)  # it is the task's id too
    return {
        "attempt": attempt,
        "step": known.name if known is not None else None,  # None: another worker of this host has it
        "worker": line.worker,
        "state": "dead" if line.dead else "waits" if line.waiting else "runs",
        "cpus": line.resources.cpus,
        "ram": line.resources.ram,
        "gpus": line.resources.gpus,
        "leased": list(line.gpus),
    }
