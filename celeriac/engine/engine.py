"""What all use cases share: settings, journal, documents, queues, publisher, runners, identity."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection

from celeriac.container.identity import boot_id
from celeriac.container.process_name import process_name
from celeriac.document.cache import DocumentCache
from celeriac.document.document import Document
from celeriac.engine.courier import Courier
from celeriac.engine.lease import Leases
from celeriac.engine.presence import Presence
from celeriac.engine.reuse import Anything, JournalDigests
from celeriac.engine.temporary import TemporaryDirectories
from celeriac.errors import CeleriacError
from celeriac.failpoints import failpoints
from celeriac.job.digests import Digests
from celeriac.job.options import RunOptions
from celeriac.job.place import attempt_directory, run_directory
from celeriac.job.run import JobRunner
from celeriac.journal import nodes, outbox, runs
from celeriac.journal.database import Database
from celeriac.resources import QueueLimits
from celeriac.scheduler.fairness import Width, width
from celeriac.scheduler.retry import RetryPolicy
from celeriac.settings import Settings
from celeriac.slots import Slots, Unbounded

if TYPE_CHECKING:
    from celeriac.engine.notes import Notes
    from celeriac.journal.tables import Record

log = logging.getLogger(__name__)

Message = tuple[str, dict[str, Any]]


class Publisher(Protocol):
    """Sends messages after their commit. ``tasks/canvas.py`` does it with Celery."""

    def publish(self, run: str, kind: str, payload: dict[str, Any]) -> None:
        """Send one message; raises :class:`~celeriac.errors.BrokerUnavailable`."""

    def is_empty(self, queue: str) -> bool:
        """Whether the broker surely has no message of a queue; False where nobody can tell."""


class Engine:
    """One a process. Makes no connection before it needs one."""

    def __init__(
        self,
        settings: Settings,
        queues: Callable[[], Sequence[QueueLimits]],
        publisher: Publisher,
        jobs: JobRunner,
        *,
        slots: Slots | None = None,
        limited: bool = True,
        fair: bool = True,
        at_once: int | None = None,
        keeps: bool = False,
        on_end: Callable[[str], None] | None = None,
        on_steps_end: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.reach = failpoints(settings.failpoints)
        self._queues = queues
        self.publisher = publisher
        self.jobs = jobs
        self.slots = slots or Unbounded()
        self.limited = limited  # the queues' limits hold for tools; False: they are the size of the host
        self.fair = fair  # other runs may be waiting: none takes all slots
        self.at_once = at_once  # steps that this process runs at a time, where no other runs any of its runs
        self._keeps = keeps  # the runs that are submitted here are this process's own
        self.told_of_waiting = False  # for other runs on this host
        self.on_end = on_end or (lambda run: None)
        self.on_steps_end = on_steps_end or (lambda run: None)  # no step will start; told at least once
        self.database = Database(settings.journal, settings.connect_timeout)
        self.documents = DocumentCache.under(settings.home / "cache")
        self.policy = RetryPolicy(
            infrastructure=settings.infrastructure_attempts,
            temporary=settings.temporary_attempts,
            memory_ladder=settings.memory_ladder,
            delay=settings.retry_delay,
            most=settings.retry_most,
        )
        self.host = socket.gethostname()
        self._token = secrets.token_hex(4)
        self._named = 0, ""
        self.leases = Leases(self)
        self.presence = Presence(self)
        self.courier = Courier(self)
        self.digests = Digests(JournalDigests(self))
        self.temporary = TemporaryDirectories()
        self.anything = Anything()  # to be reused
        self._inputs: OrderedDict[tuple[str, float | None, str], dict[str, Any]] = OrderedDict()
        self._options: OrderedDict[str, RunOptions] = OrderedDict()
        self._tables: OrderedDict[tuple[str, float | None], tuple[QueueLimits, ...]] = OrderedDict()
        self._at_work: set[str] = set()
        self._lock = threading.Lock()

    @property
    def owner(self) -> str:
        """The name under which this process holds leases; a forked child has its own."""
        if self._named[0] != os.getpid():
            self._named = os.getpid(), process_name(self.host, self._token)
        return self._named[1]

    @property
    def keeper(self) -> str | None:
        """Who looks after the runs that are submitted here: this process, or (None) any worker."""
        return self.owner if self._keeps else None

    @cached_property
    def boot(self) -> str:
        """The id of this host's boot: names the host, and tells a reboot."""
        try:
            return boot_id()
        except OSError:
            return self.host

    def document(self, name: str) -> Document:
        """Return a loaded document by its hash, from memory or the journal."""

        def body() -> str:
            with self.database.read() as connection:
                return runs.document(connection, name)

        return self.documents.get(name, body)

    @property
    def queues(self) -> Sequence[QueueLimits]:
        """The queues for new runs, as their file is now."""
        return self._queues()

    def queue_table(self, run: str, opened: float | None, data: Sequence[dict[str, Any]]) -> tuple[QueueLimits, ...]:
        """Return the queues that a run was submitted with; they never change, unless it is opened again."""
        found = self._tables.get((run, opened))
        if found is None:
            found = self._tables[run, opened] = tuple(QueueLimits(**entry) for entry in data)
            _trim(self._tables, 256)
        return found

    def width(self, seconds: float | None) -> Width:
        """Return how much of a scatter goes out at a time, when an item takes so long."""
        slots = self.presence.slots() if self.at_once is None else self.at_once
        return width(slots, seconds, self.settings.scatter_window, self.settings.scatter_width)

    def directory(self, run: str, options: RunOptions) -> Path:
        """Return a run's own directory."""
        return run_directory(self.settings.runs, run, options)

    def place(self, run: str, path: str, attempt: str, options: RunOptions) -> Path:
        """Return an attempt's own directory."""
        return attempt_directory(self.settings.runs, run, path, attempt, options)

    def options(self, run: str, data: dict[str, Any]) -> RunOptions:
        """Return a run's options; they never change."""
        found = self._options.get(run)
        if found is None:
            found = self._options[run] = RunOptions.from_json(data)
            _trim(self._options, 256)
        return found

    def inputs(self, run: str, opened: float | None, path: str) -> dict[str, Any]:
        """Return the inputs of a workflow or the shared ones of a scatter.

        Once running they never change; ``opened`` (a run's column) tells a run from what it was before.
        """
        key = (run, opened, path)
        with self._lock:
            if key in self._inputs:
                self._inputs.move_to_end(key)
                return self._inputs[key]
        with self.database.read() as connection:
            found = nodes.inputs(connection, run, path)
        with self._lock:
            self._inputs[key] = found
            _trim(self._inputs, 64)
        return found

    def inputs_in(self, connection: Connection, run: str, opened: float | None, path: str) -> dict[str, Any]:
        """As :meth:`inputs`, within a transaction that is open."""
        key = (run, opened, path)
        with self._lock:
            found = self._inputs.get(key)
        if found is None:
            found = nodes.inputs(connection, run, path)
            with self._lock:
                self._inputs[key] = found
                _trim(self._inputs, 64)
        return found

    @contextmanager
    def alone(self, attempts: Sequence[str]) -> Iterator[list[str]]:
        """Yield those attempts that no other thread of this process has in hand: their slot goes by their names."""
        with self._lock:
            own = [attempt for attempt in dict.fromkeys(attempts) if attempt not in self._at_work]
            self._at_work.update(own)
        try:
            yield own
        finally:
            with self._lock:
                self._at_work.difference_update(own)

    def send(self, run: str, messages: Sequence[tuple[int | None, Message]]) -> None:
        """Publish what a commit put into the outbox, then forget it there."""
        sent = []
        try:
            for number, (kind, payload) in messages:
                if kind == "notify":
                    self.hint(run)
                    continue
                self.reach("publish.before")
                self.publisher.publish(run, kind, payload)
                self.reach("publish.after")
                sent += [number] if number is not None else []
        finally:
            if sent:
                with self.database.begin() as connection:
                    outbox.done(connection, sent)

    def is_heard(self, options: Mapping[str, Any]) -> bool:
        """Whether anybody is to be told of a run with these options, as the journal has them."""
        return bool(self.settings.notify_url or options.get("notify") or options.get("heard"))

    def notes(self, connection: Connection, run: Record) -> Notes | None:
        """Return where changes of a run are noted for its listeners; None: it has none, which costs nothing else."""
        if not self.is_heard(run.options):
            return None
        from celeriac.engine.notes import Notes  # most runs have no listener, and need none of it

        return Notes(self, connection, run)

    def hint(self, run: str) -> None:
        """Have the notices of a run delivered soon; where that can't be said now, whoever looks for them finds them."""
        try:
            self.publisher.publish(run, "notify", {})
        except CeleriacError as error:
            log.debug("notices of run %s are delivered later: %s", run, error)

    def drop(self, messages: Sequence[tuple[int | None, Message]]) -> None:
        """Forget messages that the caller acted on itself."""
        with self.database.begin() as connection:
            outbox.done(connection, [number for number, _ in messages if number is not None])

    def close(self) -> None:
        """Let go of connections, slots and the thread that watches what runs."""
        self.leases.close()
        self.jobs.close()
        self.slots.close()
        self.database.close()


def _trim(cache: OrderedDict[Any, Any], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)
