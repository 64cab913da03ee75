"""What the end of a container means. Pure but for one look into the tool's standard error."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from celeriac.container.base import Command
from celeriac.container.docker.refusals import program_missing
from celeriac.container.docker.state import State
from celeriac.container.oom import out_of_memory
from celeriac.container.usage import Usage
from celeriac.errors import ContainerError, KilledFromOutside

#: Exit codes by which an init says that it could not run the program: found but no program; not found.
_NOT_RUN = (126, 127)
#: Exit codes of what SIGKILL and SIGTERM ended.
KILLED = (128 + signal.SIGKILL, 128 + signal.SIGTERM)
#: What the init of Docker (tini) and that of Podman (catatonit) write then, as the only output.
_INIT_SAYS = re.compile(rb"\A\[FATAL tini \(\d+\)\] exec .* failed: (.*)|\A.*catatonit.*failed to exec pid1: (.*)")


def failure(command: Command, image: str, state: State, usage: Usage | None = None) -> ContainerError | None:
    """Return the error if the tool was ended by something else than itself; None: its exit code counts."""
    if state.status not in ("exited", "dead"):
        return KilledFromOutside(
            f"the container of '{command.name}' is '{state.status}', for which nobody asked: {state.error}",
            name=command.name,
        )
    if state.exit_code in _NOT_RUN and (why := _init_says(command.stderr)):
        return program_missing(command.argv[0] if command.argv else "", image, why)
    if state.oom_killed and state.exit_code != 0:
        return out_of_memory(
            f"'{command.name}' (image '{image}')",
            command.name,
            limit=command.memory,
            peak_memory=usage.peak_memory if usage else None,
            cpu_seconds=usage.cpu_seconds if usage else None,
            exit_code=state.exit_code,
        )
    if state.exit_code in KILLED:
        name = signal.Signals(state.exit_code - 128).name
        return KilledFromOutside(
            f"the container of '{command.name}' was ended by {name}, which Celeriac did not send",
            hint="look for somebody's `docker stop` or `docker kill`, or for a restart of the engine",
            name=command.name,
            exit_code=state.exit_code,
        )
    return None


def removed(command: Command) -> KilledFromOutside:
    """Return the error for a container that is there no more."""
    return KilledFromOutside(
        f"the container of '{command.name}' was removed while it ran",
        hint="look for somebody's `docker rm`, or for another attempt at the same step",
        name=command.name,
    )


def _init_says(stderr: Path) -> str:
    try:
        with open(stderr, "rb") as file:
            found = _INIT_SAYS.search(file.read(4096))
    except OSError:
        return ""
    return next((group.decode(errors="replace").strip() for group in found.groups() if group), "") if found else ""
