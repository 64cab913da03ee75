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
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from config.celery_settings import embedded
from config.composition import assemble, budget_of, given_queues, host_slots, job_runner, local_queues
from config.embedded_pool import LanePool
from config.scanner import Scanner
from queues.budget import slots


@contextmanager
def running(
    settings: Settings, on_end: Callable[[str], None], limits: Sequence[QueueLimits] | None = None
) -> Iterator[Engine]:
    """Run a worker in a thread of this process, on every queue; stop it at the end.

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
        app, settings, queues, slots=host, jobs=jobs, limited=from_file, fair=False, keeps=True, on_end=on_end
    )
    app.loader.import_default_modules()
    worker = _worker(app, at_once)
    thread = threading.Thread(target=worker.start, name="celeriac-worker", daemon=True)
    thread.start()
    scanner = Scanner(engine)
    scanner.start()
    try:
        yield engine
    finally:
        scanner.stop()
        engine.leases.end("the command ended")
        # what Celery says while it is taken down is of no use to anybody: the run has ended
        logging.getLogger("celery").setLevel(logging.CRITICAL + 1)
        worker.stop(in_sighandler=True)
        engine.close()


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
