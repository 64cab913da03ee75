"""When a running tool is to be ended, why, and by which signal. Times are handed in: nothing waits here."""

from __future__ import annotations

import math
import signal

from celeriac.container.base import CancelToken, Command
from celeriac.errors import ContainerError, TimeLimitExceeded

#: Seconds after SIGKILL until it is sent again: an engine may not have heard it.
REPEAT = 3.0
#: Seconds after the first SIGKILL until a tool that won't die is given up.
PATIENCE = 15.0


class Ending:
    """SIGTERM for the first reason that comes up, SIGKILL when the grace is over."""

    def __init__(self, command: Command, cancel: CancelToken, grace: float) -> None:
        self.reason: ContainerError | None = None
        self._command = command
        self._cancel = cancel
        self._grace = grace
        self._limit_at = math.inf
        self._kill_at = math.inf
        self._give_up_at = math.inf

    def started(self, now: float) -> None:
        """Let the time limit run from ``now``."""
        if self._command.time_limit:
            self._limit_at = now + self._command.time_limit

    def ask(self, reason: ContainerError, now: float) -> signal.Signals | None:
        """End the tool for ``reason`` unless it is being ended; return the signal to send."""
        if self.reason is not None:
            return None
        self.reason = reason
        self._kill_at = now + self._grace
        self._give_up_at = self._kill_at + PATIENCE
        return signal.SIGTERM

    def signal_due(self, now: float) -> signal.Signals | None:
        """Return the signal to send now, if any."""
        if self.reason is None:
            reason = self._new_reason(now)
            return self.ask(reason, now) if reason else None
        if now < self._kill_at:
            return None
        self._kill_at = now + REPEAT
        return signal.SIGKILL

    def seconds_left(self, now: float) -> float:
        """Return how long it is until the clock alone makes a signal due; may be infinite."""
        return max(0.0, (self._limit_at if self.reason is None else self._kill_at) - now)

    def given_up(self, now: float) -> bool:
        """Tell whether the tool should have been dead for long."""
        return now >= self._give_up_at

    def _new_reason(self, now: float) -> ContainerError | None:
        if self._cancel.cancelled:
            return self._cancel.error(self._command.name)
        if now >= self._limit_at:
            return _too_long(self._command)
        return None


def _too_long(command: Command) -> TimeLimitExceeded:
    limit = command.time_limit or 0.0
    return TimeLimitExceeded(
        f"'{command.name}' ran longer than its time limit of {limit:g} s and was ended",
        hint="raise the tool's ToolTimeLimit, or give it more CPUs",
        name=command.name,
        limit=limit,
    )
