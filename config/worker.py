"""What a worker does beside its tasks: the control queue, the scan, an orderly end of its tools."""

from __future__ import annotations

import ctypes
import logging
import signal
from typing import Any

from celery import signals

from celeriac.names import CONTROL_QUEUE
from celeriac.settings import Settings
from config import rabbitmq
from config.chosen_queues import check
from config.composition import assemble, cluster_queues
from config.scanner import Scanner

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def connect() -> None:
    """Connect the handlers to Celery's signals; to do it twice is the same as once."""
    signals.celeryd_init.connect(check, weak=False, dispatch_uid="celeriac-queues")
    signals.worker_init.connect(put_together, weak=False, dispatch_uid="celeriac-engine")
    signals.celeryd_after_setup.connect(take_control_queue, weak=False, dispatch_uid="celeriac-control")
    signals.worker_ready.connect(start_scan, weak=False, dispatch_uid="celeriac-scan")
    signals.worker_shutting_down.connect(stop_scan, weak=False, dispatch_uid="celeriac-stop")
    signals.worker_process_init.connect(die_with_parent, weak=False, dispatch_uid="celeriac-child")
    signals.worker_init.connect(rabbitmq.keep_a_slot, weak=False, dispatch_uid="celeriac-slot")
    signals.worker_init.connect(rabbitmq.quieten, weak=False, dispatch_uid="celeriac-quiet")
    signals.worker_ready.connect(rabbitmq.warn_of_old_server, weak=False, dispatch_uid="celeriac-server")


def put_together(sender: Any, **rest: Any) -> None:
    """Give the worker's app its engine, before any child is forked."""
    settings = Settings.load()
    assemble(sender.app, settings, cluster_queues(settings), enforce_limits=True)


def take_control_queue(sender: Any, instance: Any, conf: Any, **rest: Any) -> None:
    """Have every worker serve the control queue too, before its own: else no run would go on."""
    queues = instance.app.amqp.queues
    chosen = dict(queues.consume_from)
    if CONTROL_QUEUE not in chosen:
        own = list(chosen)
        queues.select([CONTROL_QUEUE, *own])


def start_scan(sender: Any, **rest: Any) -> None:
    """Start the timer that looks for what was lost."""
    scanner = Scanner(sender.app.celeriac)
    sender.app.celeriac_scanner = scanner
    scanner.start()


def stop_scan(sender: Any, **rest: Any) -> None:
    """Stop the timer."""
    from celery import current_app

    scanner = getattr(current_app, "celeriac_scanner", None)
    if scanner is not None:
        scanner.stop()


def die_with_parent(**rest: Any) -> None:
    """Have a prefork child end in order when the worker's main process dies: its tools are stopped."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
