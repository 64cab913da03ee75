"""The embedded default: broker, results and workers in this process. No server to install."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery

from celeriac.engine import Engine
from celeriac.settings import Settings
from config.celery_settings import embedded
from config.composition import assemble, local_queues
from config.scanner import Scanner


@contextmanager
def running(settings: Settings, on_end: Callable[[str], None]) -> Iterator[Engine]:
    """Run a worker in a thread of this process, on every queue; stop it at the end."""
    queues, from_file = local_queues(settings)
    app = Celery("celeriac")
    app.set_default()  # for all threads: the current app is one a thread
    app.conf.update(embedded(queues))
    engine = assemble(app, settings, queues, enforce_limits=from_file, on_end=on_end)
    app.loader.import_default_modules()
    worker = _worker(app, settings)
    thread = threading.Thread(target=worker.start, name="celeriac-worker", daemon=True)
    thread.start()
    scanner = Scanner(engine)
    scanner.start()
    try:
        yield engine
    finally:
        scanner.stop()
        engine.leases.stop_all("the command ended")
        # what Celery says while it is taken down is of no use to anybody: the run has ended
        logging.getLogger("celery").setLevel(logging.CRITICAL + 1)
        worker.stop(in_sighandler=True)
        engine.close()


def _worker(app: Celery, settings: Settings) -> Any:
    slots = settings.slots or os.cpu_count() or 1
    return app.WorkController(
        pool="threads",
        # one thread beside the steps' own, so that scheduling never waits for a slot
        concurrency=slots + 1,
        hostname=f"embedded-{os.getpid()}@localhost",
        loglevel="WARNING",
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
