"""The progress of a run while it goes on: a live picture in a terminal, a few lines anywhere else."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import IO, Any, Protocol

from celeriac.cli.moment import Moment, moment

log = logging.getLogger(__name__)

#: Seconds between two looks at the journal: the more a look costs, the longer, but within bounds.
PAUSE = 0.25
LONGEST = 2.0
SPARING = 20  # times a look's own time
#: Failures shown at once.
FAILURES = 3


class Face(Protocol):
    """What shows moments to a person."""

    def show(self, seen: Moment) -> None:
        """Show this moment; called a few times a second."""

    def close(self) -> None:
        """Leave the stream in order; to do it twice is the same as once."""


class Progress:
    """Shows a run on a stream while the block runs, and a summary at its end.

    It asks the journal from a thread of its own. Whatever goes wrong there, the run goes on.
    ``engine`` is anything with a ``database``; without a stream (a closed stderr) nothing is shown.
    """

    def __init__(self, engine: Any, run: str, stream: IO[str] | None, *, summary: bool = True) -> None:
        self._database = engine.database
        self._summary = summary
        self._run = run
        self._stream = stream
        self._stop = threading.Event()
        self._face: Face | None = None
        self._thread = threading.Thread(target=self._watch, name="celeriac-progress", daemon=True)

    def __enter__(self) -> Progress:
        """Start to show."""
        if self._stream is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the summary."""
        if self._stream is None:
            return
        self._stop.set()
        self._thread.join(2.0)
        try:
            if self._face is not None:
                self._face.close()
            seen = moment(self._database, self._run) if self._summary else None
            if seen is not None:
                print(seen.summary(), file=self._stream, flush=True)
        except Exception as problem:
            log.debug("the summary can't be shown", exc_info=problem)

    def _watch(self) -> None:
        assert self._stream is not None
        pause = PAUSE
        try:
            while not self._stop.wait(pause):
                if self._face is None:
                    self._face = _face(self._stream)
                began = time.perf_counter()
                seen = moment(self._database, self._run, FAILURES)
                pause = min(LONGEST, max(PAUSE, SPARING * (time.perf_counter() - began)))
                if seen is None or seen.over:
                    return
                self._face.show(seen)
        except Exception as error:  # a closed stream, a journal that is away: no reason to stop a run
            log.debug("progress is no longer shown", exc_info=error)


def _face(stream: IO[str]) -> Face:
    from celeriac.cli.table import terminal

    console = terminal(stream)
    if console is None:
        from celeriac.cli.lines import Lines

        return Lines(stream)
    from celeriac.cli.live import Screen

    return Screen(console)
