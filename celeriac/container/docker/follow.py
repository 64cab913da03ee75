"""Follow a running container to its end: output, cancellation, time limit, an engine that goes away.

The end of the output wakes us, the wait call says when the state is settled, inspect says what it is.
Neither of the first two is proof: streams are dropped, and waits end when the engine does.
"""

from __future__ import annotations

import contextlib
import logging
import math
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from docker.errors import APIError, NotFound

from celeriac.container.base import Command
from celeriac.container.disk import is_full, no_room
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.outage import Outage
from celeriac.container.docker.state import State
from celeriac.container.docker.streams import OutputFailed, Streams
from celeriac.container.docker.usage import ContainerUsage
from celeriac.container.docker.verdict import removed
from celeriac.container.ending import Ending
from celeriac.container.wakeup import Wakeup
from celeriac.errors import ContainerError, EngineUnreachable

log = logging.getLogger(__name__)

#: Seconds of silence after which the engine is asked whether the container still runs.
SILENCE = 30.0
#: Seconds that an ended container's output may lag behind, and its state behind its output.
LAG = 10.0
#: Seconds by which two clocks may disagree on how long a tool ran.
DRIFT = 1.0
#: Seconds of one wait call: a cancellation is heard between two.
WAIT = (5, 2)
#: Seconds until the next wait call where the engine answers one with an error.
PAUSE = 0.1


@dataclass
class Follower:
    """Follows one container; to be made before its start."""

    connection: Connection
    container: str
    command: Command
    attach: Callable[[], Streams]  # again, without input
    streams: Streams
    ending: Ending
    wakeup: Wakeup
    usage: ContainerUsage
    _starting_at: float = field(default_factory=time.time)
    _lost: bool = False  # the engine went away, or its stream did, while output could come
    _outage: Outage = field(default_factory=Outage)

    def until_end(self) -> State:
        """Return the state of the ended container.

        Raises the reason for which it was ended, KilledFromOutside if it was removed, and
        EngineUnreachable if the engine stays away or if its going left a gap in the output.
        """
        while True:
            self._stream(time.monotonic() + SILENCE)
            if self.streams.ended:
                self.usage.look_at_the_end()
            state = self._look()
            if state is None:
                continue
            if state.has_ended:
                self._stream_rest()
                if self.ending.reason is not None:
                    raise self.ending.reason
                self._lost = self._lost or self._ended_early(state)
                if self._has_gap():
                    raise self._gap()
                return state
            if self.streams.ended:
                self._stream_again()

    # --- output ------------------------------------------------------------------------------------

    def _stream(self, until: float) -> None:
        """Pump until the output ends, or until ``until`` if there is none."""
        poller = select.poll()
        if not self.ending.reason:
            poller.register(self.wakeup, select.POLLIN)
        while not self.streams.ended and time.monotonic() < until:
            poller.register(self.streams.fd, self.streams.events)
            ready = dict(poller.poll(self._pause(until)))
            if self.wakeup.fileno() in ready:
                poller.unregister(self.wakeup)
            if self.streams.fd in ready:
                self._pump(ready[self.streams.fd])
                until = max(until, time.monotonic() + SILENCE)
            self._signal_if_due()

    def _pause(self, until: float) -> int:
        now = time.monotonic()
        seconds = min(until - now, self.usage.look(now), self.ending.seconds_left(now))
        return math.ceil(max(0.0, seconds) * 1000)

    def _pump(self, events: int) -> None:
        try:
            self.streams.pump(events)
        except OutputFailed as error:
            what = f"the output of '{self.command.name}' could not be written"
            # an engine whose stream nobody reads answers nothing about its container: not even a kill
            self.streams.close()
            self.streams.end()
            self._end(no_room(what, self.command.stdout) if is_full(error) else ContainerError(f"{what}: {error}"))

    def _stream_rest(self) -> None:
        until = time.monotonic() + LAG
        while not self.streams.ended and time.monotonic() < until:
            poller = select.poll()
            poller.register(self.streams.fd, self.streams.events)
            if poller.poll(LAG * 1000):
                self._pump(self.streams.events)
                until = time.monotonic() + LAG

    def _stream_again(self) -> None:
        """The output ended, the container did not: what it writes meanwhile is lost."""
        self._lost = True
        if self._has_gap():
            self._end(self._gap())
            return
        log.warning("the output of '%s' has a gap: the engine had dropped it", self.command.name)
        self.streams.close()
        with contextlib.suppress(*NO_ANSWER):
            self.streams = self.attach()

    def _ended_early(self, state: State) -> bool:
        """Tell whether the output ended before the tool did.

        Two spans are compared, each by one clock: the tool's from its start, the output's from before
        it. The second is the longer one, unless the output was dropped. Both are wall clocks: with an
        engine of this host it is one and the same, whatever sets it.
        """
        if state.seconds is None or self.streams.ended_at is None:
            return False
        return state.seconds > self.streams.ended_at - self._starting_at + DRIFT

    def _has_gap(self) -> bool:
        broken = self._lost or not self.streams.ended or not self.streams.is_whole
        return broken and (self.command.exact_output or not self.streams.input_is_sent)

    def _gap(self) -> EngineUnreachable:
        return EngineUnreachable(
            f"the container engine at {self.connection.options.url} dropped the streams of "
            f"'{self.command.name}' while it ran: its output may have a gap",
            hint="look at the engine's log: was it restarted?",
            name=self.command.name,
        )

    # --- the engine --------------------------------------------------------------------------------

    def _look(self) -> State | None:
        """Return the container's state; None after a pause if the engine does not answer."""
        until = time.monotonic() + LAG
        try:
            while True:
                if self.streams.ended and not self._outage.lasts:
                    self._wait()
                state = State.of(self.connection.client.inspect_container(self.container))
                self._outage.over()
                self._signal_if_due()
                if state.has_ended or not self.streams.ended or self._lost or time.monotonic() > until:
                    return state
        except NotFound as error:
            raise self.ending.reason or removed(self.command) from error
        except NO_ANSWER as error:
            self._lost = self._lost or self.streams.ended
            self._back_off(error)
            return None

    def _wait(self) -> None:
        """Wait a little for the end. Whatever comes of it, inspect says what is true."""
        try:
            self.connection.client.wait(self.container, timeout=WAIT)  # type: ignore[arg-type]
        except APIError:
            time.sleep(PAUSE)
        except NO_ANSWER as error:
            if not _is_timeout(error):
                self._lost = True

    def _back_off(self, error: BaseException) -> None:
        now = time.monotonic()
        if not self._outage.lasts:
            log.warning("lost the container engine while '%s' runs: %s", self.command.name, error)
        self._signal_if_due()
        pause = min(self._outage.pause(now), self.ending.seconds_left(now))
        if self._outage.seconds(now) > self.connection.options.patience:
            raise self.ending.reason or self.connection.unavailable(error) from error
        if self.ending.reason:
            time.sleep(pause)  # the wakeup rings for ever once it has rung
        else:
            self.wakeup.wait(pause)

    def _end(self, reason: ContainerError) -> None:
        self._send(self.ending.ask(reason, time.monotonic()))

    def _signal_if_due(self) -> None:
        now = time.monotonic()
        self._send(self.ending.signal_due(now))
        if self.ending.given_up(now) and self.ending.reason:
            log.warning("the container of '%s' does not die", self.command.name)
            raise self.ending.reason

    def _send(self, number: signal.Signals | None) -> None:
        if number is None:
            return
        try:
            self.connection.client.kill(self.container, number.name)
        except APIError as error:  # it has ended already
            log.debug("%s to the container of '%s': %s", number.name, self.command.name, error)
        except NO_ANSWER as error:
            log.warning("%s could not be sent to '%s': %s", number.name, self.command.name, error)


def _is_timeout(error: BaseException) -> bool:
    """Tell whether a wait ended by its own time: in the body that is a ConnectionError, not a ReadTimeout."""
    return "timed out" in str(error).lower()
