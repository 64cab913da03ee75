"""Calls that the caller can leave: each runs in a helper thread, which is given up when it is late.

The engine looks at its clock between JavaScript operations only, and a single one can take for ever
(``new Array(4294967295).join()``). No thread can be ended from outside, but nobody has to wait for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

#: Bytes of a helper's stack: the same everywhere, whatever ``ulimit -s`` says, and more than the
#: engine may use of it.
STACK = 8 * 2**20


class HelperThreads(Generic[T]):
    """Helper threads that wait for work; as many as there were calls at the same time."""

    # Changing the stack size of new threads is process-wide, so one thread is started at a time.
    _starting = threading.Lock()

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._idle: list[_Helper[T]] = []
        self._left: set[_Helper[T]] = set()

    def call(self, work: Callable[[], T], seconds: float) -> T:
        """Return ``work()`` or raise what it raises; raise TimeoutError after so many seconds."""
        helper = self._take()
        helper.work.put(work)
        try:
            result = helper.results.get(timeout=seconds)
        except BaseException as exc:
            # It may still answer, and that answer must not become the next caller's.
            helper.work.put(None)
            if not isinstance(exc, Empty):
                raise
            self._left.add(helper)
            raise TimeoutError from None
        self._idle.append(helper)
        if isinstance(result, Exception):
            raise result
        return result

    def left(self) -> int:
        """Return how many calls were left and still run, each taking a core."""
        for helper in tuple(self._left):
            if not helper.thread.is_alive():
                self._left.discard(helper)
        return len(self._left)

    def _take(self) -> _Helper[T]:
        if self._pid != os.getpid():  # a fork carries no threads over
            self._pid, self._idle, self._left = os.getpid(), [], set()
        try:
            return self._idle.pop()
        except IndexError:
            return self._start()

    def _start(self) -> _Helper[T]:
        with self._starting:
            before = threading.stack_size(STACK)
            try:
                return _Helper()
            finally:
                threading.stack_size(before)

    def __del__(self) -> None:
        for helper in self._idle:
            helper.work.put(None)


class _Helper(Generic[T]):
    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self.results: SimpleQueue[T | Exception] = SimpleQueue()
        # A daemon, so that the interpreter can end while one is lost in JavaScript.
        self.thread = threading.Thread(target=self._serve, name="celeriac-expression", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while (work := self.work.get()) is not None:
            self.results.put(_outcome(work))
            del work  # an idle helper keeps nothing alive


def _outcome(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as exc:
        return exc.with_traceback(None)  # whose frames would carry the context to another thread
