"""Plain processes under limits: a group of their own where the host lets us, else what else there is."""

from __future__ import annotations

import contextlib
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from celeriac.container.base import Command
from celeriac.container.cgroup.group import Group
from celeriac.container.cgroup.tools import ToolGroups
from celeriac.container.procfs import family, last_started
from celeriac.container.usage import Usage

log = logging.getLogger(__name__)

#: Rounds in which a tool's processes are put into its group; those within it stay, so one or two do.
ROUNDS = 50


class Box:
    """What holds the processes of one tool; without limits it is nothing and costs nothing."""

    def __init__(self, limits: Limits | None = None, group: Group | None = None, data: int | None = None) -> None:
        self.usage: Usage | None = None
        self._limits = limits
        self._group = group
        self._data = data  # bytes for each process, where a group can't limit their sum

    def take(self, pid: int, mark: str, command: Command) -> None:
        """Put a process in that has just been started, and what it has started itself.

        Out of reach is what within that millisecond left its parent, its session and its environment.
        """
        if self._group is not None:
            self.usage = Usage(self._group.read, command.memory, at_start=False)  # its group outlives it
            try:
                _put(self._group, pid, mark.encode())
            except OSError as error:  # it runs as another user, or the group went
                assert self._limits
                self._limits.tell("memory and CPUs", f"the process can't be put into its group: {error.strerror}")
                self._data = command.memory
        if self._data is not None:
            with contextlib.suppress(OSError):  # it has ended
                resource.prlimit(pid, resource.RLIMIT_DATA, (self._data, self._data))

    def kill(self) -> None:
        """End all that is in it, and look at what it used."""
        if self._group is not None:
            self._group.kill()
        if self.usage is not None:
            self.usage.look_now()


def _put(group: Group, pid: int, mark: bytes) -> None:
    group.add(pid)
    if last_started() == pid:  # it has started nothing before
        return
    for _ in range(ROUNDS):
        outside = group.lacks(family(pid, mark))
        if not outside:
            return
        for child in outside:
            group.add(child)


class Limits:
    """Makes boxes, and says once what this host can't enforce."""

    def __init__(self, groups: ToolGroups | None = None) -> None:
        self.groups = groups or ToolGroups()
        self._told: set[str] = set()

    @contextmanager
    def box(self, command: Command) -> Iterator[Box]:
        """Yield a box for a command's processes; at the end nothing of it is left."""
        if not command.memory and not command.cpus:
            yield Box()
            return
        group, problems = self.groups.make(command.name, memory=command.memory, cpus=command.cpus)
        for key, why in problems.items():
            self.tell("memory" if key == "memory" else "CPUs", why)
        try:
            yield Box(self, group, command.memory if "memory" in problems else None)
        finally:
            if group is not None and not (group.is_removed() or group.kill() and group.remove()):
                log.warning("the cgroup of '%s' could not be removed: its processes do not die", command.name)

    def tell(self, what: str, why: str) -> None:
        """Say that a limit is not enforced, once."""
        if what in self._told:
            return
        self._told.add(what)
        log.warning(
            "the limit of %s of steps without a container is not enforced on this host (%s)%s; to have it, run "
            "the worker as root, or delegate the cgroup controllers memory and cpu to it (systemd: Delegate=yes "
            "and DelegateSubgroup=worker), or run the steps in containers",
            what,
            why,
            "" if what == "CPUs" else ": each process of a step has its own limit of data instead",
        )
