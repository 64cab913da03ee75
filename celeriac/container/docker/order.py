"""A command as an order to the shell of a container that commands share. Pure.

The shell reads orders from its standard input and answers on its standard output, which no command gets:
``up`` when it waits for the first one, ``N began`` before it becomes the command, ``N CODE`` when that has ended. Each
command runs under an init of its own, as the only command of a container does.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from celeriac.container.base import Command

#: Where an engine puts the init of a container that asked for one (Docker 1.13 and up).
INIT = "/sbin/docker-init"
#: To be sent first.
GREETING = f"exec 3>&1 >&2; [ -x {INIT} ] && echo up >&3\n".encode()
UP, BEGAN = "up", "began"


def order(number: int, command: Command, entrypoint: Sequence[str], streams: tuple[str, str, str]) -> bytes:
    """Return what has the shell run a command; ``streams`` are paths in the container: input, output, error."""
    stdin, stdout, stderr = (shlex.quote(path) for path in streams)
    # shells set these for themselves
    lines = [
        f"( exec <{stdin} >>{stdout} 2>>{stderr}",
        f"cd {shlex.quote(command.workdir)} || exit",
        "unset OLDPWD PWD SHLVL",
        *(f"export {name}={shlex.quote(value)}" for name, value in command.env.items()),
        f"echo {number} {BEGAN} >&3",
        # -s: it can't be the first process, and is to reap all the same
        f"exec 3>&- {INIT} -s -- {shlex.join([*entrypoint, *command.argv])} )",
        f"echo {number} $? >&3",
    ]
    return os.fsencode("\n".join(lines) + "\n")
