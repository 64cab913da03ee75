"""Several processes that serve one socket: started by fork, started again when one dies, ended together."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

#: Seconds that a child has to live: one that dies sooner is started again after a pause.
_SHORT = 1.0
#: Seconds between two looks at whether the parent is alive.
_LOOK = 1.0


def serve(work: Callable[[], None], number: int) -> None:
    """Run ``work`` in so many children until SIGTERM or SIGINT; they get SIGTERM then, and are waited for."""
    children: dict[int, float] = {}  # id -> when it was started
    stopping = False

    def stop(number: int, frame: Any) -> None:
        nonlocal stopping
        stopping = True
        _tell(children)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    while True:
        while not stopping and len(children) < number:
            # a signal between fork and note would reach no child
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
            children[_start(work)] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
        if not children:
            return
        child, status = os.wait()
        started = children.pop(child, 0.0)
        if not stopping:
            log.warning("process %s ended with %s: another one serves", child, os.waitstatus_to_exitcode(status))
            if time.monotonic() - started < _SHORT:
                time.sleep(_SHORT)


def _tell(children: dict[int, float]) -> None:
    for child in list(children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)


def _start(work: Callable[[], None]) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent gets it, too, and passes it on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
        _end_with(parent)
        work()
        code = 0
    except BaseException:
        log.exception("a process that serves has failed")
    finally:
        os._exit(code)


def _end_with(parent: int) -> None:
    """Have this process end when its parent is gone, even by SIGKILL."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()
