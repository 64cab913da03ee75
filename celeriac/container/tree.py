"""The processes of one tool, also those that left its process group.

Each tool gets a mark in its environment, which its children inherit. A child that left the group,
the session and its parent is found by the mark; one that also wiped its environment is not: a plain
process is no prison (a container is).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping

from celeriac.container.procfs import environment, pids, stat
from celeriac.container.wakeup import is_readable

#: The variable that holds the mark.
MARK = "CELERIAC_TOOL"
#: Seconds within which the last of a tool's processes must be gone after SIGKILL.
PATIENCE = 5.0


def is_mark_of(entry: bytes, name: str) -> bool:
    """Tell whether an entry of an environment is the mark of a tool of that name, whoever started it."""
    owner, _, rest = entry.partition(b":")
    return rest.rpartition(b":")[0] == os.fsencode(name) and owner.startswith(MARK.encode() + b"=")


class Tree:
    """The processes that a tool has started, itself included."""

    def __init__(self, owner: str, name: str) -> None:
        self._mark = f"{owner}:{name}:{uuid.uuid4().hex}"
        self._pid = 0

    @property
    def mark(self) -> str:
        """The entry of the environment that tells the tree's processes."""
        return f"{MARK}={self._mark}"

    def marked(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment with this tree's mark."""
        return {**env, MARK: self._mark}

    def rooted(self, pid: int) -> None:
        """Say which process leads the group."""
        self._pid = pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every process that can be found."""
        strays = self._descendants() | set(self._strays())
        self._signal_group(number)
        for pid in strays:
            self._signal_one(pid, number)

    def kill_group(self) -> None:
        """SIGKILL what is left of the group, when the tool has ended by itself."""
        self._signal_group(signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL the group and all strays, and see the strays go.

        To be called before the leader is reaped: until then nobody else can get its group's number.
        """
        self._signal_group(signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while strays := list(self._strays()):
            for pid in strays:
                self._signal_one(pid, signal.SIGKILL, wait=0.1)
            if time.monotonic() > until:
                return

    def see_group_go(self) -> None:
        """Wait until nobody is left in the group; to be called when its leader is reaped."""
        until = time.monotonic() + PATIENCE
        while self._group_lives() and time.monotonic() < until:
            time.sleep(0.005)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._pid, 0)
        except OSError:  # the usual case, for one system call
            return False
        members = (stat(pid) for pid in pids())
        return any(member and member.group == self._pid and member.is_alive for member in members)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)

    def _descendants(self) -> set[int]:
        import psutil  # type: ignore[import-untyped]  # only when a tool is ended by force

        with contextlib.suppress(psutil.Error):
            return {child.pid for child in psutil.Process(self._pid).children(recursive=True)}
        return set()

    def _strays(self) -> Iterator[int]:
        """Yield the living processes with the mark, the leader left out."""
        wanted = f"{MARK}={self._mark}".encode()
        for pid in pids():
            if pid != self._pid and wanted in environment(pid):
                yield pid

    def _signal_one(self, pid: int, number: signal.Signals, wait: float = 0.0) -> None:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
            return
        try:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(fd, number)
            is_readable(fd, wait)
        finally:
            os.close(fd)
