"""Run a tool as a plain process of this host: no image, limits as far as the host lets us."""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import subprocess
import time
import uuid
from contextlib import ExitStack

from celeriac.container.base import CancelToken, Command, ExitReport, Image
from celeriac.container.cgroup.tools import ToolGroups
from celeriac.container.ending import Ending
from celeriac.container.exits import Exit, exit_fd, reap
from celeriac.container.files import open_input, open_output
from celeriac.container.limits import Box, Limits
from celeriac.container.remains import clear
from celeriac.container.sweep import Sweep
from celeriac.container.tree import MARK, Tree
from celeriac.container.usage import Usage, note
from celeriac.container.verdict import failure, not_started
from celeriac.container.wakeup import Wakeup, is_readable
from celeriac.failpoints import Reach, nothing

log = logging.getLogger(__name__)

#: Seconds that a process gets to vanish after SIGKILL; one in the kernel's hands may take longer.
GONE_WITHIN = 10.0


class ProcessRunner:
    """Runs tools as processes in sessions of their own.

    ``stop_grace``: seconds between SIGTERM and SIGKILL. ``memory`` and ``cpus`` of a command are enforced
    by a cgroup where this process may make one; where not, the log says so once. A command's ``container``
    is not looked at. Without a cgroup, peak memory is known where it is above the peak of this process.
    Safe to use from many threads.
    """

    def __init__(self, *, stop_grace: float = 2.0, groups: ToolGroups | None = None, reach: Reach = nothing) -> None:
        self._stop_grace = stop_grace
        self._reach = reach
        self._limits = Limits(groups)
        self._opened: tuple[str, Sweep] | None = None

    def prepare(self, image: Image, *, allow_pull: bool, force_pull: bool, cancel: CancelToken) -> str:
        """Return the empty string: a process needs no image."""
        if cancel.cancelled:
            raise cancel.error(image.name)
        return ""

    def close(self) -> None:
        """End what tools left behind; there are no connections."""
        if self._opened is not None and self._opened[1].pid == os.getpid():
            self._opened[1].now()

    def clear(self, name: str) -> bool:
        """End what is left of the command ``name``; see :meth:`celeriac.container.base.Runner.clear`."""
        return clear(name, self._limits.groups)

    def attempts(self, host: str) -> frozenset[str]:
        """Return nothing: there are no containers."""
        return frozenset()

    def _own(self) -> tuple[str, Sweep]:
        """Return this process's name and sweep: a forked child has its own, and its own tools."""
        opened = self._opened
        if opened is None or opened[1].pid != os.getpid():
            owner = uuid.uuid4().hex
            opened = self._opened = owner, Sweep(f"{MARK}={owner}:")
        return opened

    def run(self, command: Command, cancel: CancelToken) -> ExitReport:
        """Run to the end and leave nothing behind; see :meth:`celeriac.container.base.Runner.run`."""
        if cancel.cancelled:
            raise cancel.error(command.name)
        owner, sweep = self._own()
        tree, ending = Tree(owner, command.name), Ending(command, cancel, self._stop_grace)
        sweep.begin(tree.mark)
        try:
            with self._limits.box(command) as box:
                return self._run(command, cancel, tree, ending, box)
        finally:
            sweep.end(tree.mark)

    def _run(self, command: Command, cancel: CancelToken, tree: Tree, ending: Ending, box: Box) -> ExitReport:
        self._reach("start.before")
        process = _spawn(command, tree)
        self._reach("start.after")
        started = time.monotonic()
        ending.started(started)
        ended, by_itself = Exit(None), False
        with exit_fd(process.pid) as over:
            try:
                box.take(process.pid, tree.mark, command)
                _watch(over, tree, ending, cancel, box.usage)
                seconds = time.monotonic() - started
                by_itself = ending.reason is None
            finally:
                (tree.kill_group if by_itself else tree.kill)()
                box.kill()
                if is_readable(over, GONE_WITHIN):
                    ended = reap(process)
                    tree.see_group_go()
                else:
                    log.warning("process %d of '%s' does not die by SIGKILL", process.pid, command.name)
        return _judge(command, ending, _with_usage(ended, box.usage), seconds, box.usage)


def _spawn(command: Command, tree: Tree) -> subprocess.Popen[bytes]:
    with ExitStack() as files:
        stdout = files.enter_context(open_output(command.stdout))
        stderr = files.enter_context(open_output(command.stderr))
        stdin = files.enter_context(open_input(command.stdin)) if command.stdin else subprocess.DEVNULL
        try:
            # no preexec_fn: only so does subprocess use vfork
            process = subprocess.Popen(
                command.argv,
                cwd=command.workdir,
                env=tree.marked(command.env),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise not_started(command, error) from error
    tree.rooted(process.pid)
    return process


def _watch(over: int, tree: Tree, ending: Ending, cancel: CancelToken, usage: Usage | None) -> None:
    """Return when the process has ended, by itself or by us."""
    with Wakeup(cancel) as wakeup:
        poller = select.poll()
        poller.register(over, select.POLLIN)
        poller.register(wakeup, select.POLLIN)
        while True:
            now = time.monotonic()
            left = min(ending.seconds_left(now), usage.look(now) if usage else math.inf)
            ready = {fd for fd, _ in poller.poll(None if math.isinf(left) else math.ceil(left * 1000))}
            if over in ready:
                return
            if wakeup.fileno() in ready:
                poller.unregister(wakeup)
            due = ending.signal_due(time.monotonic())
            if due == signal.SIGKILL:  # the caller does that
                return
            if due is not None:
                tree.send(due)


def _with_usage(ended: Exit, usage: Usage | None) -> Exit:
    """Take the numbers of the whole group, where there is one, for those of the processes that were waited for."""
    if usage is None:
        return ended
    memory, seconds = usage.peak_memory, usage.cpu_seconds
    return Exit(
        ended.code,
        ended.peak_memory if memory is None else memory,
        ended.cpu_seconds if seconds is None else seconds,
    )


def _judge(command: Command, ending: Ending, ended: Exit, seconds: float, usage: Usage | None) -> ExitReport:
    error = ending.reason or failure(command, ended, usage)
    if error is not None:
        raise note(error, ended.peak_memory, ended.cpu_seconds)
    assert ended.code is not None
    return ExitReport(ended.code, seconds, ended.peak_memory, ended.cpu_seconds)
