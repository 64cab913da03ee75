"""A container in which commands run one after the other, each as if it were the only one."""

from __future__ import annotations

import logging
import math
import os
import select
import time
from collections.abc import Sequence

from docker.errors import NotFound

from celeriac.container.base import CancelToken, Command, ExitReport
from celeriac.container.cgroup.hierarchy import hierarchies
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.fence import Fence
from celeriac.container.docker.layout import CantShare, Layout, Unfit
from celeriac.container.docker.line import Line
from celeriac.container.docker.oom import OomWatch
from celeriac.container.docker.order import BEGAN, GREETING, UP, order
from celeriac.container.docker.room import Room
from celeriac.container.docker.state import State
from celeriac.container.docker.usage import SharedUsage, find
from celeriac.container.docker.verdict import failure, removed
from celeriac.container.ending import Ending
from celeriac.container.oom import out_of_memory
from celeriac.container.usage import telling
from celeriac.container.wakeup import Wakeup
from celeriac.errors import ContainerError, EngineUnreachable, KilledFromOutside

log = logging.getLogger(__name__)

#: Seconds within which a shell that was started says so.
UP_WITHIN = 30.0
#: Seconds within which the processes of a command that has ended are gone.
GONE_WITHIN, _PAUSE = 0.2, 0.002


class Shared:
    """One container. To be used by one thread at a time, and to be closed."""

    def __init__(self, connection: Connection, fence: Fence, room: Room, entrypoint: Sequence[str]) -> None:
        self.container = ""  # its id, once it was made
        self.free_since = 0.0  # by time.monotonic()
        self._connection = connection
        self._fence = fence
        self._room = room
        self._entrypoint = entrypoint
        self._number = 0
        self._usable = False
        self._line: Line | None = None
        self._groups: dict[str, str] = {}
        self._watch: OomWatch | None = None
        self._own: frozenset[int] = frozenset()  # the processes that are no command's

    def start(self, cancel: CancelToken) -> None:
        """Start it; raises what the engine says, :class:`Unfit`, and ``cancel.error`` when cancelled."""
        reach = self._connection.options.reach
        self._line = Line(self._connection, self.container)
        reach("start.before")
        self._connection.client.start(self.container)
        reach("start.after")
        self._groups = find(self.container, hierarchies())
        if "memory" not in self._groups:
            raise Unfit("the processes of containers can't be seen from here")
        self._watch = OomWatch.of(self._groups["memory"])
        self._line.send(GREETING)
        until = time.monotonic() + UP_WITHIN
        with Wakeup(cancel) as wakeup:
            while UP not in self._line.receive():
                left = until - time.monotonic()
                if self._line.ended or left < 0:
                    raise Unfit(f"its image has no shell and init to share: {self._line.complaints}")
                _ready(left, wakeup, self._line)
                if cancel.cancelled:
                    raise cancel.error(self.container)
        self._own = self._processes()
        self._usable = True

    @property
    def is_usable(self) -> bool:
        """Whether another command can run here, as far as is known."""
        if self._usable and self._line is not None:
            self._line.receive()
            self._usable = not self._line.ended
        return self._usable

    def run(self, command: Command, found: Layout, image: str, cancel: CancelToken) -> ExitReport:
        """Run a command to its end; see :class:`~celeriac.container.base.Runner`.

        Raises :class:`CantShare` where nothing of it was run.
        """
        try:
            streams = self._room.enter(command, found)
        except BaseException:
            self._leave(command)
            raise
        self._usable = False  # until all went well
        usage = SharedUsage(self._groups, command.memory, self._watch)
        try:
            with telling(usage):
                code, seconds = self._attend(command, streams, usage, cancel)
            is_clean = self._is_alone() and self._is_tidy()
            oom_killed = usage.was_oom_killed()
        except BaseException:
            self._end()  # nothing of it may run when its files are taken out
            self._leave(command)
            raise
        if not is_clean:
            log.debug("'%s' left something in its container, which is removed", command.name)
            self._end()
        self._leave(command)
        self._usable = is_clean and not oom_killed
        with telling(usage):
            failed = failure(command, image, State("exited", code, oom_killed, "", seconds), usage)
            if failed is not None:
                raise failed
        return ExitReport(code, seconds, usage.peak_memory, usage.cpu_seconds)

    def close(self) -> None:
        """Remove it, with all that runs in it."""
        self._end()
        self._room.close()

    # --- a command ---------------------------------------------------------------------------------

    def _attend(
        self, command: Command, streams: tuple[str, str, str], usage: SharedUsage, cancel: CancelToken
    ) -> tuple[int, float]:
        """Return the exit code of a command and how long it took."""
        assert self._line is not None
        ending = Ending(command, cancel, 0)
        self._number += 1
        began = False
        with Wakeup(cancel) as wakeup:
            start = time.monotonic()
            ending.started(start)
            self._line.send(order(self._number, command, self._entrypoint, streams))
            while not self._line.ended:
                for word in self._line.receive():
                    began = began or word == f"{self._number} {BEGAN}"
                    code = self._heard(word)
                    if code is not None:
                        usage.look_now()
                        if not began:
                            raise CantShare(f"it could not begin in its container: {self._line.complaints}")
                        return code, time.monotonic() - start
                if self._line.ended:
                    break
                now = time.monotonic()
                if ending.signal_due(now) is not None and ending.reason is not None:
                    raise ending.reason
                _ready(min(usage.look(now), ending.seconds_left(now)), wakeup, self._line)
        raise self._lost(command, usage)

    def _heard(self, word: str) -> int | None:
        """Return the exit code if this is the end of the command."""
        number, _, code = word.partition(" ")
        return int(code) if number == str(self._number) and code.isdecimal() else None

    def _lost(self, command: Command, usage: SharedUsage) -> ContainerError:
        """Return what it means that the shell says nothing any more."""
        if usage.was_oom_killed():
            what = f"'{command.name}'"
            used = {"peak_memory": usage.peak_memory, "cpu_seconds": usage.cpu_seconds}
            return out_of_memory(what, command.name, limit=command.memory, exit_code=137, **used)  # type: ignore[arg-type]
        try:
            state = State.of(self._connection.client.inspect_container(self.container))
        except NotFound:
            return removed(command)
        except NO_ANSWER as error:
            return self._connection.unavailable(error)
        if state.has_ended:
            return KilledFromOutside(
                f"the container of '{command.name}' was ended, which Celeriac did not do",
                hint="look for somebody's `docker stop` or `docker kill`, or for a restart of the engine",
                name=command.name,
                exit_code=state.exit_code,
            )
        return EngineUnreachable(
            f"the container engine at {self._connection.options.url} let go of the container of '{command.name}'",
            hint="look at the engine's log: was it restarted?",
            name=command.name,
        )

    # --- what it leaves ----------------------------------------------------------------------------

    def _processes(self) -> frozenset[int]:
        try:
            with open(f"{self._groups['memory']}/cgroup.procs", encoding="ascii") as file:
                return frozenset(map(int, file))
        except OSError:
            return frozenset()

    def _is_alone(self) -> bool:
        """Tell whether no process but the shell and its init is left."""
        until = time.monotonic() + GONE_WITHIN
        while (there := self._processes()) != self._own:
            if not there or time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        return True

    def _is_tidy(self) -> bool:
        """Tell whether nothing is left in /dev/shm, which all commands see."""
        try:
            return not os.listdir(f"/proc/{min(self._own)}/root/dev/shm")
        except OSError:
            return False

    def _leave(self, command: Command) -> None:
        try:
            self._room.leave()
        except OSError as error:
            self._usable = False
            raise ContainerError(
                f"what '{command.name}' wrote can't be taken out of its container: {error.strerror}",
                hint="run it without container reuse",
                name=command.name,
                path=error.filename,
            ) from error

    def _end(self) -> None:
        """Kill and remove it; twice is the same as once."""
        self._usable = False
        container, self.container = self.container, ""
        if container and not self._fence.clear(container):
            self._fence.remove(container)
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._line is not None:
            self._line.close()


def _ready(seconds: float, *descriptors: Wakeup | Line) -> None:
    """Wait until one of them is readable, so long at most."""
    poller = select.poll()
    for one in descriptors:
        poller.register(one, select.POLLIN)
    poller.poll(math.ceil(max(0.0, seconds) * 1000))
