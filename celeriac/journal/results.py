"""Celery's results in the journal's database: a backend that joins chords by counting, without polling.

RabbitMQ carries no results that several processes can read. This backend keeps them where every
worker and every client already looks. Named by ``result_backend =
"celeriac.journal.results:JournalBackend"`` it uses the settings' journal; ``…:JournalBackend+postgresql://…``
names another database.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from celery.backends.base import KeyValueStoreBackend
from kombu.utils.encoding import bytes_to_str
from sqlalchemy import Integer, Text, case, cast, delete, null, or_, select, update

from celeriac.errors import JournalUnavailable, SettingsError
from celeriac.journal.database import Database, hide, now
from celeriac.journal.tables import results
from celeriac.journal.upsert import upsert
from celeriac.settings import Settings

#: How to name the backend in Celery's ``result_backend``.
NAME = "celeriac.journal.results:JournalBackend"

#: Seconds between two looks for a result, where the caller did not say.
INTERVAL = 0.1
_CELERY_INTERVAL = 0.5  # what AsyncResult.get() passes on when nobody said anything

#: Every so many results stored by a process, it deletes at most so many that have expired.
TIDY_EVERY, TIDY = 256, 1024

_PORTION = 1000  # keys asked for in one statement

_ALIVE = or_(results.c.expires.is_(None), results.c.expires > now())


class JournalBackend(KeyValueStoreBackend):  # type: ignore[misc]
    """Keys and values in the table ``results``. What has expired is not there, deleted or not.

    All methods raise :class:`~celeriac.errors.JournalUnavailable` when the database does not answer.
    """

    key_t = bytes_to_str
    implements_incr = True  # a chord's body is sent by whoever counts its last part
    supports_native_join = True  # many results by one query

    def __init__(self, app: Any, url: str | None = None, **options: Any) -> None:
        """Name the database, without connecting. Raises :class:`~celeriac.errors.SettingsError`."""
        settings = Settings.load()
        super().__init__(app=app, url=url or settings.journal, **options)
        if self.content_encoding == "binary":
            raise SettingsError(
                f"result_serializer is {self.serializer!r}, but the journal keeps results as text",
                hint="set result_serializer to 'json', as the workers do",
            )
        self.thread_safe = True  # one pool of connections a process
        self._database = Database(self.url, settings.connect_timeout)
        self._stored = count(1)

    def as_uri(self, include_password: bool = False) -> str:
        """Return the database's URL, as the worker's banner shows it."""
        return str(self.url if include_password else hide(self.url))

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Storing a result again is safe: it is stored under its task's id."""
        return isinstance(exc, JournalUnavailable)

    def get(self, key: str) -> str | None:
        """Return a value, None where there is none."""
        return self.mget([key])[0]

    def mget(self, keys: Iterable[str]) -> list[str | None]:
        """Return the values in the order of their keys."""
        wanted = list(keys)
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _PORTION):
            some = results.c.key.in_(wanted[start : start + _PORTION])
            with self._database.read() as connection:
                rows = connection.execute(select(results.c.key, results.c.value).where(some, _ALIVE))
                found |= {row.key: row.value for row in rows}
        return [found.get(key) for key in wanted]

    def set(self, key: str, value: str | bytes) -> None:
        """Store a value for ``result_expires`` seconds."""
        row = {"value": bytes_to_str(value), "expires": _until(self.expires)}
        with self._database.begin() as connection:
            statement = upsert(connection, results).values(key=key, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=[results.c.key], set_=row))
        if next(self._stored) % TIDY_EVERY == 0:
            self._delete_expired()

    def incr(self, key: str) -> int:
        """Count one more; of several callers at once each gets another number, from 1."""
        expires = _until(self.chord_expires)
        more = cast(cast(results.c.value, Integer) + 1, Text)
        with self._database.begin() as connection:
            statement = upsert(connection, results).values(key=key, value="1", expires=expires)
            counted = statement.on_conflict_do_update(
                index_elements=[results.c.key],
                set_={"value": case((_ALIVE, more), else_="1"), "expires": expires},
            ).returning(results.c.value)
            return int(connection.execute(counted).scalar_one())

    def expire(self, key: str, value: float | None) -> None:
        """Let a value live for ``value`` seconds from now; for ever with 0 or None."""
        with self._database.begin() as connection:
            connection.execute(update(results).where(results.c.key == key).values(expires=_until(value)))

    def delete(self, key: str) -> None:
        """Delete a value; none is fine."""
        with self._database.begin() as connection:
            connection.execute(delete(results).where(results.c.key == key))

    def cleanup(self) -> None:
        """Delete all that has expired. Celery's ``celery.backend_cleanup`` calls it."""
        while self._delete_expired() == TIDY:
            pass

    def _delete_expired(self) -> int:
        """Delete a portion of what has expired; return how much."""
        with self._database.begin() as connection:
            # the clock as a plain number: as an expression it would keep PostgreSQL from the index
            clock = connection.execute(select(now())).scalar_one()
            # what another process deletes just now is passed over: nobody waits, nothing deadlocks
            expired = select(results.c.key).where(results.c.expires <= clock).limit(TIDY)
            locked = expired.with_for_update(skip_locked=True)
            return connection.execute(delete(results).where(results.c.key.in_(locked))).rowcount

    def wait_for(self, task_id: str, timeout: Any = None, interval: float = INTERVAL, **options: Any) -> Any:
        """Wait for a task's result, as ``AsyncResult.get`` does; looks oftener than Celery would."""
        return super().wait_for(task_id, timeout=timeout, interval=_finer(interval), **options)

    def get_many(self, task_ids: Any, timeout: Any = None, interval: float | None = None, **options: Any) -> Any:
        """Yield results as they arrive, as ``GroupResult.join`` does; looks oftener than Celery would."""
        return super().get_many(task_ids, timeout=timeout, interval=_finer(interval), **options)


def _until(seconds: float | None) -> Any:
    return now() + seconds if seconds else null()


def _finer(interval: float | None) -> float:
    return INTERVAL if interval in (None, _CELERY_INTERVAL) else float(interval)
