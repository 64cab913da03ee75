"""A run in the foreground: shown while it goes on, broken off by a signal, its outputs printed at its end."""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from celeriac.errors import EXIT_FAILED, CeleriacError, from_dict

#: How long a broken-off run may take to stop its tools, in seconds.
STOP = 15.0


class Terminated(BaseException):
    """SIGTERM arrived."""


@contextmanager
def engine_for(runtime: Any, settings: Any, *, embedded: bool, queues: Any = None) -> Iterator[Foreground]:
    """Yield what follows a run: with a worker in this process, or with those of a broker.

    ``queues``: those of a run that was submitted before; None: those of now.
    """
    finished = threading.Event()
    if embedded:
        with runtime.embedded(settings, lambda run: finished.set(), queues) as own:
            yield Foreground(own.engine, finished, own)
        return
    runtime.reach_broker(settings)  # before anything is written that would run later, unasked
    engine = runtime.engine(settings)
    try:
        yield Foreground(engine)
    finally:
        engine.close()


class Foreground:
    """One run at a time. ``finished`` is set when a run ends in ``embedded``; None: others run it."""

    def __init__(self, engine: Any, finished: threading.Event | None = None, embedded: Any = None) -> None:
        self.engine = engine
        self._embedded = embedded
        self._finished = finished or threading.Event()

    @property
    def embedded(self) -> bool:
        """Whether the run goes on in this process."""
        return self._embedded is not None

    def follow(self, run: str, begin: Callable[[], Any], *, quiet: bool) -> int:
        """Begin, wait for the end, print the outputs; returns the exit code."""
        gc.freeze()  # what was loaded stays: the collector need not look through it while the run goes on
        gc.set_threshold(10_000)
        with _interruptible():
            try:
                if self._embedded is not None:
                    self._embedded.start(run)
                begin()
                with self._progress(run, quiet):
                    self._wait(run)
            except (KeyboardInterrupt, Terminated) as stop:
                code = self._break_off(run, stop)
            else:
                code = self.report(run)
            with suppress(KeyboardInterrupt, Terminated):
                self._tell_listeners(run)
            return code

    def _tell_listeners(self, run: str) -> None:
        """Wait a moment for the notices of a run that nobody else looks after, and say what did not arrive."""
        if not self.embedded:
            return
        from celeriac.journal import runs

        with self.engine.database.read() as connection:
            row = runs.short(connection, run)
        if row is None or not self.engine.is_heard(row.options):
            return
        from celeriac.engine.notify import undelivered

        left = undelivered(self.engine, run)
        if left:
            why = next((one.error for one in left if one.error), "no answer has come yet")
            print(
                f"celeriac: warning: {len(left)} notices of run {run} have not arrived: {why}\n"
                f"  they are kept: a worker on the same journal sends them, or `celeriac notify replay {run}`",
                file=sys.stderr,
            )

    def _progress(self, run: str, quiet: bool) -> Any:
        if quiet:
            return nullcontext()
        from celeriac.cli.progress import Progress

        return Progress(self.engine, run, sys.stderr)

    def _wait(self, run: str) -> None:
        """Wait for the end: told by the engine in this process, else asking the journal."""
        from celeriac.engine.finish import ended

        pause = 0.02
        while not ended(self._state(run)):
            self._finished.wait(1.0 if self.embedded else pause)
            pause = min(0.25, pause * 1.5)

    def _state(self, run: str) -> str:
        from celeriac.journal import runs

        with self.engine.database.read() as connection:
            row = runs.short(connection, run)
        assert row is not None
        return str(row.state)

    def _break_off(self, run: str, stop: BaseException) -> int:
        from celeriac.engine.cancel import cancel
        from celeriac.engine.finish import ended

        print("celeriac: stopping the run ...", file=sys.stderr)
        cancel(self.engine, run, "the command was interrupted")
        if self.embedded:
            self._embedded.stop_all("the command was interrupted")
        clock = threading.Event()
        for _ in range(int(STOP * 10)):
            if ended(self._state(run)):
                break
            clock.wait(0.1)
        print(f"  `celeriac retry {run}` goes on from here", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130

    def report(self, run: str) -> int:
        """Print the outputs of a run that has ended, or why there are none; returns the exit code."""
        from celeriac.journal import runs

        with self.engine.database.read() as connection:
            row = runs.result(connection, run)
        assert row is not None
        if row.outputs is not None:
            json.dump(row.outputs, sys.stdout, indent=4, ensure_ascii=False)
            sys.stdout.write("\n")
            sys.stdout.flush()
        if row.state == "SUCCESS":
            return 0
        error = from_dict(row.error) if row.error else CeleriacError(f"the run is {row.state}")
        told = self._explained(error, row)
        print(f"celeriac: error: {told}", file=sys.stderr)
        where = self.engine.directory(run, self.engine.options(run, row.options))
        if where.is_dir() and run not in told:
            print(f"  all files of run {run} are in {where}", file=sys.stderr)
        return error.exit_code or EXIT_FAILED

    def _explained(self, error: CeleriacError, row: Any) -> str:
        """Return why the run failed, with what is known of the step that failed."""
        from celeriac.engine.outcome import place_of
        from celeriac.job import failure

        if row.state != "FAILED":
            return str(error)
        with self.engine.database.read() as connection:
            found = failure.find(connection, row.id, row.error)
        return failure.text(error, found, place_of(self.engine, row.id, row.options), row.id)


@contextmanager
def _interruptible() -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise Terminated

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
