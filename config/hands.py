"""Processes of an embedded run that run its steps: Python has one lock a process, so threads alone don't scale.

They are forked while this process has one thread, with all that it has loaded; what they do is what a
worker's prefork children do. A step goes to one that is idle, and runs in a thread here when none is.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from celeriac.engine.execute import Execution, execute_and_go_on
from celeriac.engine.lost import lose
from celeriac.errors import CeleriacError

if TYPE_CHECKING:
    from celeriac.engine import Engine

log = logging.getLogger(__name__)

#: Processes at most: with more of them, the one that schedules is what small steps wait for.
MOST = 4
#: Seconds that they get to stop their tools and report, when the command ends.
LEAVE_WITHIN = 20.0
#: First words of what goes through a pipe.
_RUN, _STOP, _DONE, _SEND, _ENDED = "run", "stop", "done", "send", "ended"


class Hands:
    """The processes; none before :meth:`start`. Safe to use from many threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._all: list[_Hand] = []
        self._idle: list[_Hand] = []
        self._lock = threading.Lock()

    def start(self, number: int) -> None:
        """Fork so many processes, :data:`MOST` at most; to be called while this process has one thread."""
        for index in range(min(number, MOST)):
            self._all.append(_Hand(self._engine, index + 1, self._all))
        self._idle = list(self._all)

    def execute(self, names: Sequence[str]) -> Execution:
        """As :func:`celeriac.engine.execute.execute_and_go_on`, in another process if one is idle."""
        with self._lock:
            hand = self._idle.pop() if self._idle else None
        if hand is None:
            return execute_and_go_on(self._engine, names)
        try:
            found = hand.execute(names)
        except (EOFError, OSError):
            log.warning("process %d, which ran steps of this run, has died", hand.pid)
            hand.end()
            for name in names:
                lose(self._engine, name)
            return self.execute(names)  # what it had not begun: nobody else has heard of that
        with self._lock:
            self._idle.append(hand)
        return found

    def stop_all(self, reason: str) -> None:
        """Have them stop every tool, now."""
        for hand in self._all:
            hand.stop_all(reason)

    def dismiss(self) -> None:
        """Let go of those that are idle: there are no more steps, and their memory is wanted to publish outputs."""
        with self._lock:
            idle, self._idle = self._idle, []
        for hand in idle:
            hand.leave()

    def close(self) -> None:
        """End them; what they run was told to stop before."""
        for hand in self._all:
            hand.leave()
        deadline = time.monotonic() + LEAVE_WITHIN
        for hand in self._all:
            hand.end(deadline)


class _Hand:
    """One process, as its parent sees it; one caller at a time, except :meth:`stop_all`."""

    def __init__(self, engine: Engine, index: int, older: Sequence[_Hand]) -> None:
        self._engine = engine
        self._pipe, theirs = Pipe()
        self._lock = threading.Lock()  # of what is written
        self._reaped = False
        self.pid = os.fork()
        if self.pid == 0:
            # they would keep the pipes of their elders open, and nobody would see these end
            for hand in older:
                hand._pipe.close()
            self._pipe.close()
            _Child(engine, theirs, index).live()
        theirs.close()

    def execute(self, names: Sequence[str]) -> Execution:
        self._send(_RUN, list(names))
        while True:
            word, content = self._pipe.recv()
            if word == _DONE:
                done: Execution = content
                return done
            if word == _ENDED:
                self._engine.on_end(content)
                continue
            with suppress(CeleriacError):  # it is advanced later all the same
                self._engine.publisher.publish(*content)

    def stop_all(self, reason: str) -> None:
        with suppress(OSError):
            self._send(_STOP, reason)

    def _send(self, word: str, content: Any) -> None:
        with self._lock:
            self._pipe.send((word, content))

    def leave(self) -> None:
        """Tell it to end, by closing what it listens to."""
        with self._lock:
            self._pipe.close()

    def end(self, deadline: float = 0.0) -> None:
        """Wait for its end till the deadline (of time.monotonic()), then kill it."""
        if self._reaped:
            return
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.002)
        self._reaped = True


class _Child:
    """One process, as it sees itself."""

    def __init__(self, engine: Engine, pipe: Connection, index: int) -> None:
        self._engine = engine
        self._pipe = pipe
        self._lock = threading.Lock()  # of what is written
        self._work: SimpleQueue[list[str] | None] = SimpleQueue()
        self._index = index

    def live(self) -> None:
        """Do what is asked until the parent has no more, or has died; never returns."""
        code = os.EX_SOFTWARE
        try:
            # a terminal's signals are the parent's: it tells what is to be done
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
                signal.signal(number, signal.SIG_IGN)
            self._engine.leases.be(self._index)
            self._engine.publisher = self
            self._engine.on_end = lambda run: self._send(_ENDED, run)
            threading.Thread(target=self._listen, name="celeriac-parent", daemon=True).start()
            while (names := self._work.get()) is not None:
                self._send(_DONE, execute_and_go_on(self._engine, names))
            self._engine.close()
            code = os.EX_OK
        except BaseException as error:  # nothing of the parent's may run here
            log.error("a process that runs steps ends: %r", error)
        finally:
            os._exit(code)

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                word, content = self._pipe.recv()
                if word == _RUN:
                    self._work.put(content)
                else:
                    self._engine.leases.stop_all(content)
        self._engine.leases.leave()
        self._engine.leases.stop_all(self._engine.leases.farewell)
        self._work.put(None)

    def _send(self, word: str, content: Any) -> None:
        with self._lock, suppress(OSError):  # the parent has died: what it was told is in the journal
            self._pipe.send((word, content))

    # --- the publisher of this process's engine --------------------------------------------------

    def publish(self, run: str, kind: str, payload: dict[str, Any]) -> None:
        """Have the parent send a message."""
        self._send(_SEND, (run, kind, payload))

    def is_empty(self, queue: str) -> bool:
        """Nobody can tell here."""
        return False
