"""A prefork child and the end of its worker: whoever sends it SIGTERM, what it has begun ends in order.

The kernel sends it when the worker's main process dies, `celery control terminate` and Celery's cold
shutdown send it too. Billiard's handler ends the process wherever it is, which is right while it waits
for work. In a task it would leave an attempt without a report: there the handler has the tool stopped and
handed back, and the process ends when the task has.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from billiard.common import TERM_SIGNAL
from celery import current_app, signals

if TYPE_CHECKING:
    from celeriac.engine import Engine

_PR_SET_PDEATHSIG = 1


class Child:
    """The process that this module is in, once it is a prefork child of the process ``main``."""

    def __init__(self, engine: Engine, main: int) -> None:
        self._engine = engine
        self._main = main
        self._told = False
        self._before: Any = None

    @property
    def _is_child(self) -> bool:
        return os.getpid() != self._main  # a pool of threads, or of no process but this one, calls it too

    def begin(self) -> None:
        """Have the kernel tell of the main's death; to be called when the process has just been forked."""
        if not self._is_child:
            return
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, TERM_SIGNAL, 0, 0, 0)
        if os.getppid() != self._main:  # it died before the kernel knew: there will be no signal
            os._exit(os.EX_SOFTWARE)

    def end(self) -> None:
        """Let go of everything, so that nobody takes this process for one that was killed."""
        if self._is_child:
            self._engine.close()

    def task_begins(self) -> None:
        """Put off the end of this process till that of the task."""
        if self._is_child:
            self._before = signal.signal(TERM_SIGNAL, self._put_off)

    def task_ends(self) -> None:
        """End this process if it was told to meanwhile."""
        if self._before is None:
            return
        signal.signal(TERM_SIGNAL, self._before)
        self._before = None
        if self._told:
            signal.raise_signal(TERM_SIGNAL)

    def _put_off(self, number: int, frame: FrameType | None) -> None:
        self._told = True  # more than once, maybe: the kernel tells of the death of each thread of the main
        self._engine.leases.leave()


def connect() -> None:
    """Connect to Celery's signals of processes and tasks; to do it twice is the same as once."""

    def tell(method: Callable[[Child], None]) -> Callable[..., None]:
        def receive(**rest: Any) -> None:
            child = getattr(current_app, "celeriac_child", None)
            if child is not None:
                method(child)

        return receive

    for signal_, method in (
        (signals.worker_process_init, Child.begin),
        (signals.worker_process_shutdown, Child.end),
        (signals.task_prerun, Child.task_begins),
        (signals.task_postrun, Child.task_ends),
    ):
        signal_.connect(tell(method), weak=False, dispatch_uid=f"celeriac-child-{method.__name__}")
