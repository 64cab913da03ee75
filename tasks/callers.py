"""A caller's own tasks that follow a run in a chain, group or chord: they go back to the caller's workers.

Celery has the worker that ends a task send what follows it, by that worker's own routes: here, to
Celeriac's queues, where nobody knows the task. One that its caller gave a queue goes to that queue,
any other to the one that every Celery app has unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kombu import Exchange, Queue

#: Celery's ``task_default_queue`` (Celery's documentation, Configuration).
HOME = "celery"

#: They stand for other tasks: these are sent, not the ones of these names.
_CONTAINERS = frozenset({"celery.group", "celery.chain", "celery.chord"})
#: Run by whoever gets them, so that one has to know the task within.
_WRAPPERS = frozenset({"celery.map", "celery.starmap", "celery.chunks"})


def send_home(app: Any, request: Any) -> None:
    """Give what follows the current task a queue, and have this process know that queue."""
    for following in (request.chain, request.callbacks, request.errbacks, request.chord):
        for signature in _signatures(following):
            name = signature["task"]
            if name not in _CONTAINERS and (name in _WRAPPERS or name not in app.tasks):
                queue = signature["options"].setdefault("queue", HOME)
                _know(app, queue)


def _signatures(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the signatures in what Celery keeps of a canvas."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _signatures(part)
    elif isinstance(value, dict) and isinstance(value.get("options"), dict) and "task" in value:
        yield value
        for key in ("link", "link_error", "chord"):
            yield from _signatures(value["options"].get(key))
        if value["task"] in _CONTAINERS:
            for part in (value.get("kwargs") or {}).values():
                yield from _signatures(part)


def _know(app: Any, name: Any) -> None:
    if isinstance(name, str) and name not in app.amqp.queues:
        # not declared here: it is its owner's to say what kind of queue it is
        app.amqp.queues.add(Queue(name, Exchange(name), routing_key=name, no_declare=True))  # type: ignore[no-untyped-call]
