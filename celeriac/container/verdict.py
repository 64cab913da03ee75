"""What the end of a plain process means, or that it never began."""

from __future__ import annotations

import errno
import os
import signal

from celeriac.container.base import Command
from celeriac.container.exits import Exit
from celeriac.container.oom import host_out_of_memory, out_of_memory
from celeriac.container.usage import Usage
from celeriac.errors import CommandNotFound, ContainerError, KilledFromOutside


def failure(command: Command, ended: Exit, usage: Usage | None) -> ContainerError | None:
    """Return the error if the tool was ended by something else than itself or us."""
    if ended.code is None:
        return KilledFromOutside(
            f"how '{command.name}' ended isn't known: another part of this program reaped the process",
            name=command.name,
        )
    if usage and usage.oom_kills and ended.code != 0:
        return _no_memory(command, ended, ended.code, at_limit=usage.at_limit)
    if ended.code in (-signal.SIGKILL, -signal.SIGTERM):
        name = signal.Signals(-ended.code).name
        return KilledFromOutside(
            f"'{command.name}' was ended by {name}, which Celeriac did not send",
            hint="look for somebody's kill, or for the kernel's out-of-memory killer (`dmesg`)",
            name=command.name,
            signal=-ended.code,
            exit_code=ended.code,
        )
    return None


def _no_memory(command: Command, ended: Exit, code: int, *, at_limit: bool) -> ContainerError:
    what = f"'{command.name}'"
    if not at_limit:
        return host_out_of_memory(what, command.name, limit=command.memory, exit_code=code)
    return out_of_memory(
        what,
        command.name,
        limit=command.memory,
        peak_memory=ended.peak_memory,
        cpu_seconds=ended.cpu_seconds,
        exit_code=code,
    )


def not_started(command: Command, error: OSError) -> ContainerError:
    """Return the error of a program that the system would not start."""
    program = command.argv[0]
    if not os.path.isdir(command.workdir):
        return ContainerError(
            f"the working directory '{command.workdir}' is not there", name=command.name, path=command.workdir
        )
    why = {
        errno.ENOENT: "was not found",
        errno.ENOTDIR: "was not found",
        errno.EACCES: "may not be executed",
        errno.ENOEXEC: "is no program of this machine, and has no '#!' line",
    }.get(error.errno or 0)
    if why is None:
        return ContainerError(f"'{program}' could not be started: {error.strerror}", name=command.name)
    return CommandNotFound(
        f"the program '{program}' {why}",
        hint="install it on this host, or run the step in a container that has it (DockerRequirement)",
        name=command.name,
        program=program,
    )
