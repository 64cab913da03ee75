"""A runner for tests of others: a Python function plays the tool."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from celeriac.container.base import CancelToken, Command, ExitReport, Image
from celeriac.container.files import open_input, open_output
from celeriac.errors import ImageNotFound, KilledFromOutside, TimeLimitExceeded
from celeriac.names import container_of

#: Seconds within which a function must stop when it is told to.
PATIENCE = 5.0
_CLEARED = "cleared"

#: Plays a tool: may read ``command.stdin``, write ``command.stdout`` and ``command.stderr`` and
#: raise a ContainerError; returns the exit code (None: 0). The token tells it when to stop, be it by
#: the caller or by the time limit.
Behaviour = Callable[[Command, CancelToken], "int | None"]


def succeed(command: Command, cancel: CancelToken) -> int:
    """Do nothing, well."""
    return 0


class StubRunner:
    """Calls ``behave`` for each command and records the commands.

    ``images`` maps names to ids; None: every name has one. Safe to use from many threads.
    """

    def __init__(self, behave: Behaviour = succeed, images: Mapping[str, str] | None = None) -> None:
        self.commands: list[Command] = []
        self.prepared: list[Image] = []
        self.closed = False
        self.cleared: list[str] = []
        self.left: set[str] = set()  # attempts that have a container
        self._running: dict[str, list[CancelToken]] = {}
        self._behave = behave
        self._images = images

    def prepare(self, image: Image, *, allow_pull: bool, force_pull: bool, cancel: CancelToken) -> str:
        """Return the image's id; raises :class:`~celeriac.errors.ImageNotFound` for one not given."""
        if cancel.cancelled:
            raise cancel.error(image.name)
        self.prepared.append(image)
        if self._images is None:
            return f"stub:{image.name}"
        if image.name not in self._images:
            raise ImageNotFound(f"the stub has no image '{image.name}'", image=image.name)
        return self._images[image.name]

    def run(self, command: Command, cancel: CancelToken) -> ExitReport:
        """Let the function play the command; see :meth:`celeriac.container.base.Runner.run`."""
        if cancel.cancelled:
            raise cancel.error(command.name)
        self.commands.append(command)
        _make_files(command)
        stop = CancelToken()
        forget = cancel.on_cancel(lambda: stop.cancel(cancel.reason))
        timer = _timer(command, stop)
        started = time.monotonic()
        self._running.setdefault(command.name, []).append(stop)
        try:
            code = self._behave(command, stop)
        finally:
            self._running[command.name].remove(stop)
            forget()
            if timer:
                timer.cancel()
        if cancel.cancelled:
            raise cancel.error(command.name)
        if stop.reason == _CLEARED:
            raise KilledFromOutside(f"'{command.name}' was cleared away", name=command.name)
        if stop.cancelled:
            raise TimeLimitExceeded(f"'{command.name}' ran too long", limit=command.time_limit)
        return ExitReport(code or 0, time.monotonic() - started)

    def clear(self, name: str) -> bool:
        """Tell the functions that play the command to stop; return whether they did."""
        self.cleared.append(name)
        self.left = {attempt for attempt in self.left if container_of(attempt) != name}
        until = time.monotonic() + PATIENCE
        while running := list(self._running.get(name, ())):
            for stop in running:
                stop.cancel(_CLEARED)
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def attempts(self, host: str) -> frozenset[str]:
        """Return those that a test has put into ``left``."""
        return frozenset(self.left)

    def close(self) -> None:
        """Remember that it was called."""
        self.closed = True


def _make_files(command: Command) -> None:
    open_output(command.stdout).close()
    open_output(command.stderr).close()
    if command.stdin:
        open_input(command.stdin).close()


def _timer(command: Command, stop: CancelToken) -> threading.Timer | None:
    if not command.time_limit:
        return None
    timer = threading.Timer(command.time_limit, stop.cancel, ["time limit"])
    timer.daemon = True
    timer.start()
    return timer
