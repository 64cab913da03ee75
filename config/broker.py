"""What the command line asks of the broker: is it there, and what waits in its queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from kombu import Connection

from celeriac.errors import BrokerUnavailable, SettingsError
from celeriac.journal.database import hide
from celeriac.settings import Settings

T = TypeVar("T")

#: How long workers have to answer when the broker can't count its consumers, in seconds.
ANSWER = 1.0


@dataclass(frozen=True)
class Depth:
    """What is in one queue of the broker."""

    waiting: int | None  # messages; None: the broker has no queue of that name yet
    workers: int  # that take from it


def reach(settings: Settings) -> None:
    """Return when the broker answers; raises :class:`~celeriac.errors.BrokerUnavailable`."""

    def connect() -> None:
        with _connected(settings):
            pass

    _bounded(connect, settings)


def depths(settings: Settings, names: Iterable[str]) -> dict[str, Depth]:
    """Count what waits in the broker's queues and who serves them; raises as :func:`reach`."""
    wanted = list(names)
    counted = _bounded(lambda: _count(settings, wanted), settings)
    if all(workers is None for _, workers in counted.values()):
        answers = _ask_workers(settings)
        return {name: Depth(waiting or 0, answers.get(name, 0)) for name, (waiting, _) in counted.items()}
    return {name: Depth(waiting, workers or 0) for name, (waiting, workers) in counted.items()}


def _count(settings: Settings, names: list[str]) -> dict[str, tuple[int | None, int | None]]:
    """Return each queue's messages and consumers; the consumers are None where the broker has no such count."""
    found: dict[str, tuple[int | None, int | None]] = {}
    with _connected(settings) as connection:
        counts_consumers = connection.transport.driver_type == "amqp"
        for name in names:
            # a broker closes the channel on which a missing queue was asked for
            try:
                with connection.channel() as channel:
                    answer = channel.queue_declare(name, passive=True)
                found[name] = (answer.message_count, answer.consumer_count if counts_consumers else None)
            except connection.channel_errors:
                found[name] = (None, 0 if counts_consumers else None)
    return found


def _ask_workers(settings: Settings) -> dict[str, int]:
    """Count the workers that serve each queue by asking them; one that does not answer is not counted."""
    from celery import Celery

    app = Celery("celeriac", broker=settings.worker_broker, set_as_current=False)
    try:
        answers = app.control.inspect(timeout=ANSWER).active_queues() or {}
    finally:
        app.close()
    found: dict[str, int] = {}
    for queues in answers.values():
        for queue in queues:
            found[queue["name"]] = found.get(queue["name"], 0) + 1
    return found


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    seconds = settings.connect_timeout
    limits = {"socket_connect_timeout": seconds, "socket_timeout": seconds, "retry_on_timeout": False}
    redis = settings.worker_broker.startswith(("redis", "sentinel"))
    url = settings.worker_broker
    with Connection(url, connect_timeout=seconds, transport_options=limits if redis else {}) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        yield connection


def _bounded(call: Callable[[], T], settings: Settings) -> T:
    """Call in a thread, so that the time is bounded however many times a library tries again."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="celeriac-broker", daemon=True)
    thread.start()
    thread.join(settings.connect_timeout)
    if results:
        return results[0]
    cause = errors[0] if errors else f"no answer within {settings.connect_timeout:g} s"
    if isinstance(cause, (KeyError, ValueError)):  # kombu's way to refuse a URL
        raise SettingsError(
            f"CELERIAC_BROKER_URL is {hide(settings.worker_broker)!r}, which is no broker's URL: {cause}",
            hint="for example redis://127.0.0.1:6379/0 or amqp://user:password@host//",
        )
    raise BrokerUnavailable(
        f"the broker {hide(settings.worker_broker)} does not answer: {cause}",
        hint="is it running, and is CELERIAC_BROKER_URL right?",
    )
