"""What a worker does beside its tasks: its slots, the control queue, the scan, an orderly end of its tools."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from typing import Any

from celery import signals

from celeriac.errors import CeleriacError, UsageError
from celeriac.names import CONTROL_QUEUE, is_rabbitmq
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from config import rabbitmq
from config.chosen_queues import check
from config.composition import assemble, budget_of, cluster_queues, host_slots, job_runner
from config.control_lane import ControlLane
from config.scanner import Scanner
from config.worker_slots import WorkerSlots, of_options, worker_slots

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def connect() -> None:
    """Connect the handlers to Celery's signals; to do it twice is the same as once."""
    signals.celeryd_init.connect(check, weak=False, dispatch_uid="celeriac-queues")
    signals.worker_init.connect(put_together, weak=False, dispatch_uid="celeriac-engine")
    signals.worker_ready.connect(start_scan, weak=False, dispatch_uid="celeriac-scan")
    signals.worker_shutting_down.connect(wind_down, weak=False, dispatch_uid="celeriac-stop")
    signals.worker_process_init.connect(die_with_parent, weak=False, dispatch_uid="celeriac-child")
    signals.worker_init.connect(rabbitmq.quieten, weak=False, dispatch_uid="celeriac-quiet")
    signals.worker_ready.connect(rabbitmq.warn_of_old_server, weak=False, dispatch_uid="celeriac-server")


def put_together(sender: Any, **rest: Any) -> None:
    """Give the worker its queues, its slots and its engine, before any child is forked."""
    try:
        _put_together(sender)
    except CeleriacError as error:
        sys.exit(f"celeriac: error: {error}")


def _put_together(worker: Any) -> None:
    settings = Settings.load()
    queues, jobs = cluster_queues(settings), job_runner(settings)
    budget = budget_of(settings)
    found = _slots(worker, budget, queues())
    slots = host_slots(
        settings, jobs, budget, worker=f"{worker.hostname}:{os.getpid()}", cap=found.at_once, bounded=found.bounded
    )
    engine = assemble(worker.app, settings, queues, slots=slots, jobs=jobs)
    engine.presence.describe(worker.hostname, budget, found.at_once, found.by_queue)
    worker.app.steps["consumer"].add(ControlLane)


def _slots(worker: Any, budget: Any, queues: Any) -> WorkerSlots:
    """Choose what the worker consumes, and how many of its processes there are."""
    known = worker.app.amqp.queues
    chosen = set(known.consume_from) - {CONTROL_QUEUE}
    own = [queue for queue in queues if queue.name in chosen]
    if worker.options.get("autoscale"):
        raise UsageError(
            "--autoscale can't be used: how many steps run at once follows from the host and the queues",
            hint="leave it out, or give the most steps at once as -c",
        )
    if not own:  # celery worker -Q celeriac: scheduling alone
        return WorkerSlots(0, {}, bounded=True)
    found = worker_slots(
        budget,
        own,
        of_options(worker.options.get("concurrency")),
        named=known.consume_from is not known,
        oversubscribe=bool(worker.options.get("oversubscribe")),
    )
    known.select(_in_order(own, found))
    worker.celeriac_slots = found.at_once
    worker.concurrency = _processes(worker, found) + 1
    return found


def _in_order(own: list[QueueLimits], found: WorkerSlots) -> list[str]:
    """Return the names of the queues that are served, those of higher priority first."""
    ordered = sorted(own, key=lambda queue: -(queue.priority or 0))
    return [queue.name for queue in ordered if queue.name in found.by_queue]


def _processes(worker: Any, found: WorkerSlots) -> int:
    """Return how many steps may be here at once, those that wait for a slot included."""
    if not is_rabbitmq(str(worker.app.conf.broker_url)):
        return found.at_once
    return rabbitmq.limit_ahead(worker.app.amqp.queues, list(found.by_queue), found.at_once)


def start_scan(sender: Any, **rest: Any) -> None:
    """Start the timer that looks for what was lost."""
    scanner = Scanner(sender.app.celeriac)
    sender.app.celeriac_scanner = scanner
    scanner.start()


def wind_down(sender: Any, **rest: Any) -> None:
    """Stop the timer, and let go of steps that wait for a slot: another worker may have one sooner."""
    from celery import current_app

    scanner = getattr(current_app, "celeriac_scanner", None)
    if scanner is not None:
        scanner.stop()
    engine = getattr(current_app, "celeriac", None)
    if engine is not None:
        engine.leases.take_no_more()


def die_with_parent(**rest: Any) -> None:
    """Have a prefork child end in order when the worker's main process dies: its tools are stopped."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
