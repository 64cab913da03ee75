"""The embedded default: broker, results and workers in this process. No server to install."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import Celery

from celeriac.engine import Engine
from celeriac.graph.width import is_wide
from celeriac.journal import runs
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from config.celery_settings import embedded
from config.composition import assemble, budget_of, given_queues, host_slots, job_runner, local_queues
from config.embedded_pool import LanePool
from config.hands import Hands
from config.scanner import Scanner
from queues.budget import slots


@contextmanager
def running(
    settings: Settings, on_end: Callable[[str], None], limits: Sequence[QueueLimits] | None = None
) -> Iterator[Embedded]:
    """Yield a worker on every queue that begins when it is told to; stop it at the end.

    ``limits``: the queues of a run that was submitted before; None: those of now.
    """
    queues, from_file = local_queues(settings) if limits is None else given_queues(limits)
    app = Celery("celeriac")
    app.set_default()  # for all threads: the current app is one a thread
    app.conf.update(embedded(queues()))
    jobs, budget = job_runner(settings), budget_of(settings)
    at_once = settings.slots or max([1, math.floor(budget.cpus), *(slots(budget, queue) for queue in queues())])
    name, cap = f"embedded:{os.getpid()}", settings.slots or None
    host = host_slots(settings, jobs, budget, worker=name, cap=cap, bounded=True)
    engine = assemble(
        app, settings, queues, slots=host, jobs=jobs, limited=from_file, fair=False, at_once=at_once, keeps=True,
        on_end=on_end, on_steps_end=lambda run: made.hands.dismiss(),
    )  # fmt: skip
    app.loader.import_default_modules()
    made = Embedded(engine, _worker(app, at_once), at_once)
    app.celeriac_execute = made.hands.execute
    try:
        yield made
    finally:
        made.end()


class Embedded:
    """An engine with a worker of its own, in this process and some that it forks."""

    def __init__(self, engine: Engine, worker: Any, at_once: int) -> None:
        self.engine = engine
        self.hands = Hands(engine)
        self._worker = worker
        self._at_once = at_once
        self._scanner = Scanner(engine)
        self._started = False

    def start(self, run: str) -> None:
        """Begin to work. Steps get processes of their own if some of this run may run side by side."""
        with self.engine.database.read() as connection:
            row = runs.short(connection, run)
        if self._at_once > 1 and row is not None and is_wide(self.engine.document(row.document).graph):
            self.hands.start(self._at_once)
        threading.Thread(target=self._worker.start, name="celeriac-worker", daemon=True).start()
        self._scanner.start()
        self._started = True

    def stop_all(self, reason: str) -> None:
        """Stop every tool, now."""
        self.engine.leases.stop_all(reason)
        self.hands.stop_all(reason)

    def end(self) -> None:
        """Stop what runs, and let go of everything."""
        if self._started:
            self._scanner.stop()
        self.engine.leases.end("the command ended")
        self.hands.close()
        if self._started:
            # what Celery says while it is taken down is of no use to anybody: the run has ended
            logging.getLogger("celery").setLevel(logging.CRITICAL + 1)
            self._worker.stop(in_sighandler=True)
        self.engine.close()


def _worker(app: Celery, slots: int) -> Any:
    return app.WorkController(
        pool=LanePool,
        concurrency=slots,
        hostname=f"embedded-{os.getpid()}@localhost",
        loglevel="WARNING",
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
