"""One node of a run -> one Celery canvas. The only place where chains and chords are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, chain, chord
from kombu.exceptions import OperationalError

from celeriac import names
from celeriac.errors import BrokerUnavailable
from celeriac.journal.database import hide
from celeriac.names import is_rabbitmq

_REDIS = ("redis", "rediss", "unix", "socket", "sentinel")


class CeleryPublisher:
    """Sends the outbox's messages. Messages carry ids only.

    ``know`` makes a queue known to the app that came into the queue file after its start.
    """

    def __init__(self, app: Celery, know: Callable[[str], None] = lambda queue: None) -> None:
        self._app = app
        self._know = know

    def publish(self, run: str, kind: str, payload: dict[str, Any]) -> None:
        """Send one message; raises :class:`~celeriac.errors.BrokerUnavailable`."""
        with self._answering():
            getattr(self, f"_{kind}")(run, **payload)

    def is_empty(self, queue: str) -> bool:
        """Whether the broker surely has no message of a queue: Redis tells, and there workers hold none back.

        Raises :class:`~celeriac.errors.BrokerUnavailable`.
        """
        if not str(self._app.conf.broker_url).startswith(_REDIS):
            return False
        with self._answering(), self._app.pool.acquire(block=True) as connection:
            try:
                return bool(connection.default_channel.queue_declare(queue, passive=True).message_count == 0)
            except connection.channel_errors:  # a queue without messages is not there
                return True

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, ConnectionError, OSError) as error:
            raise BrokerUnavailable(
                f"the broker {hide(str(self._app.conf.broker_url))} does not answer: {error}",
                hint="is it running, and is CELERIAC_BROKER_URL right?",
            ) from error

    def _chain(self, run: str, attempt: str, queue: str, lane: int, shadow: str) -> None:
        """Send a plain step: chain( execute | settle )."""
        settle = self._control(names.SETTLE, run, attempt, shadow=f"{shadow} settle")
        chain(self._execute(run, [attempt], queue, lane, shadow), settle).apply_async()

    def _chord(self, run: str, batch: str, bundles: list[list[str]], queue: str, lane: int, shadow: str) -> None:
        """Send a part of a scatter: chord( execute ... ) | gather, where each message may have several items."""
        header = [self._execute(run, bundle, queue, lane, shadow) for bundle in bundles]
        body = self._control(names.GATHER, run, batch, shadow=f"{shadow} gather")
        (chain(*header, body).apply_async if len(header) == 1 else chord(header, body))()

    def _advance(self, run: str) -> None:
        self._control(names.ADVANCE, run).apply_async()

    def _notify(self, run: str) -> None:
        self._control(names.NOTIFY, run).apply_async()

    def _reply(self, run: str, **place: Any) -> None:
        """Send the task that gives a run's outputs to the caller of ``run_workflow``, in its place."""
        correlation = place.pop("correlation_id", None)
        options = {"correlation_id": correlation} if correlation else {}
        self._app.send_task(names.OUTPUTS, args=(run,), queue=names.CONTROL_QUEUE, **place, **options)

    def _execute(self, run: str, attempts: list[str], queue: str, lane: int, shadow: str) -> Any:
        self._know(queue)
        made = self._app.signature(names.EXECUTE, args=(attempts,), immutable=True)
        priority = self._priorities[lane]
        return made.set(
            queue=queue, task_id=attempts[0], shadow=shadow, kwargsrepr=f"{{'run': '{run}'}}", priority=priority
        )

    @property
    def _priorities(self) -> tuple[int, int]:
        """The messages' priorities by lane: Redis takes 0 for the most urgent, AMQP 9 (kombu's documentation)."""
        return (9, 0) if is_rabbitmq(str(self._app.conf.broker_url)) else (0, 6)

    def _control(self, name: str, *args: str, shadow: str | None = None) -> Any:
        made = self._app.signature(name, args=args, immutable=True)
        return made.set(queue=names.CONTROL_QUEUE, **({"shadow": shadow} if shadow else {}))
