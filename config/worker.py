"""What a worker does beside its tasks: its slots, the control queue, the scan, an orderly end of its tools."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from celery import bootsteps, current_app, signals
from celery.utils.log import in_sighandler
from celery.worker import state

from celeriac.errors import CeleriacError, UsageError
from celeriac.names import CONTROL_QUEUE, is_rabbitmq
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from config import child, lost, rabbitmq
from config.chosen_queues import check
from config.composition import assemble, budget_of, cluster_queues, host_slots, job_runner
from config.control_lane import ControlLane
from config.ending import Ending
from config.scanner import Scanner
from config.worker_slots import WorkerSlots, of_options, worker_slots
from queues.ledger import overview

log = logging.getLogger(__name__)


def connect() -> None:
    """Connect the handlers to Celery's signals; to do it twice is the same as once."""
    signals.celeryd_init.connect(check, weak=False, dispatch_uid="celeriac-queues")
    signals.worker_init.connect(put_together, weak=False, dispatch_uid="celeriac-engine")
    signals.worker_ready.connect(start, weak=False, dispatch_uid="celeriac-scan")
    signals.worker_shutting_down.connect(wind_down, weak=False, dispatch_uid="celeriac-stop")
    signals.worker_init.connect(rabbitmq.quieten, weak=False, dispatch_uid="celeriac-quiet")
    signals.worker_ready.connect(rabbitmq.warn_of_old_server, weak=False, dispatch_uid="celeriac-server")
    child.connect()
    lost.connect()


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
    slots = host_slots(settings, jobs, budget, worker=_name(worker), cap=found.at_once, bounded=found.bounded)
    engine = assemble(worker.app, settings, queues, slots=slots, jobs=jobs)
    engine.presence.describe(worker.hostname, budget, found.at_once, found.by_queue)
    worker.app.celeriac_child = child.Child(engine, os.getpid())
    worker.app.steps["consumer"].add(ControlLane)
    worker.app.steps["worker"].add(LastCall)


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


def start(sender: Any, **rest: Any) -> None:
    """Start the timer that looks for what was lost, and take the signals that end the worker."""
    if hasattr(sender.app, "celeriac_ending"):  # it was ready before, and has found its broker again
        return
    engine = sender.app.celeriac
    sender.app.celeriac_scanner = scanner = Scanner(engine, at_once=True)
    scanner.start()
    sender.app.celeriac_ending = ending = _ending(sender, engine)
    if threading.current_thread() is threading.main_thread():
        ending.install()


def _ending(consumer: Any, engine: Any) -> Ending:
    directory, name = engine.settings.slots_directory, _name(consumer)

    def running() -> int:
        with suppress(CeleriacError):
            lines = overview(directory)
            return sum(line.worker == name and not line.waiting and not line.dead for line in lines)
        return 0

    def warm(code: int) -> None:
        with in_sighandler():
            signals.worker_shutting_down.send(sender=consumer.hostname, sig="SIGTERM", how="Warm", exitcode=code)
        state.should_stop = code

    quit_at_once: Any = signal.getsignal(signal.SIGQUIT)

    def cold() -> None:
        consumer.controller.exitcode = 1  # Celery's is 0, as if it had ended in good order
        quit_at_once(signal.SIGQUIT, None)

    return Ending(engine.leases, running, engine.settings.drain, warm=warm, cold=cold)


def _name(worker: Any) -> str:
    """Return what a worker's steps go by in the ledger of their host."""
    return f"{worker.hostname}:{os.getpid()}"


def wind_down(**rest: Any) -> None:
    """Stop the timer, and begin to end: also when it was no signal that ends the worker."""
    scanner = getattr(current_app, "celeriac_scanner", None)
    if scanner is not None:
        scanner.stop()
    ending = getattr(current_app, "celeriac_ending", None)
    if ending is not None:
        ending.begin()
    elif hasattr(current_app, "celeriac"):  # it was not ready yet
        current_app.celeriac.leases.take_no_more()


class LastCall(bootsteps.StartStopStep):  # type: ignore[misc]
    """Winds down before the pool is waited for, whatever ends the worker (`celery control shutdown`)."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, worker: Any) -> None:
        """Wind down; twice is the same as once."""
        wind_down()
