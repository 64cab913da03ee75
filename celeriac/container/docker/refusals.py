"""What the engine means when it refuses to create or to start a container."""

from __future__ import annotations

import re
from collections.abc import Callable

from docker.errors import APIError

from celeriac.container.base import Command
from celeriac.errors import CommandNotFound, ContainerError, EngineUnreachable, ImageNotFound, MountRefused


def refused(error: APIError, command: Command, image: str) -> ContainerError:
    """Return the named error for an engine's answer to a create or a start."""
    text = " ".join(str(error.explanation or error).split())
    for pattern, make in _MEANINGS:
        if pattern.search(text):
            return make(text, command, image)
    return ContainerError(f"the container engine refused '{command.name}' (image '{image}'): {text}", image=image)


def program_missing(program: str, image: str, why: str) -> CommandNotFound:
    """Return the error for a program that an image has not, or that can't be executed."""
    return CommandNotFound(
        f"the program '{program}' can't be run in the image '{image}': {why}",
        hint="correct baseCommand, or take an image that has the program",
        program=program,
        image=image,
    )


def image_missing(image: str, why: str, hint: str = "") -> ImageNotFound:
    """Return the error for an image that can't be had."""
    return ImageNotFound(
        f"the image '{image}' can't be had: {why}",
        hint=hint or "check dockerPull and dockerImageId for typing errors",
        image=image,
    )


def _image(text: str, command: Command, image: str) -> ContainerError:
    return image_missing(image, text)


def _mount(text: str, command: Command, image: str) -> ContainerError:
    mounts = command.container.mounts if command.container else ()
    # the longest first: one path may be the beginning of another
    for mount in sorted(mounts, key=lambda mount: -len(mount.source) - len(mount.target)):
        if mount.source in text or mount.target in text:
            what, path = f"'{mount.source}' at '{mount.target}'", mount.source
            break
    else:
        what, path = "a path", ""
    return MountRefused(
        f"the container engine refused to mount {what}: {text}",
        hint="the path must exist where the engine runs, and be shared with it",
        path=path,
        image=image,
    )


def _program(text: str, command: Command, image: str) -> ContainerError:
    found = re.search(r'exec: "([^"]*)": (.*?)(?:: unknown)?$', text)
    program, why = found.groups() if found else (command.argv[0] if command.argv else "", text)
    return program_missing(program, image, why)


def _gpu(text: str, command: Command, image: str) -> ContainerError:
    gpus = command.container.gpus if command.container else ()
    if _NO_DRIVER.search(text):
        hint = (
            "install the NVIDIA driver and container toolkit on this host and restart the engine, "
            "or take GPUs out of what this host offers (CELERIAC_HOST_GPUS=none)"
        )
    else:
        hint = "compare the ids with `nvidia-smi -L` on this host, and correct CELERIAC_HOST_GPUS"
    return ContainerError(
        f"the container engine can't give GPU {', '.join(gpus) or '(any)'} to '{command.name}': {text}",
        hint=hint,
        name=command.name,
        gpus=list(gpus),
    )


def _network(text: str, command: Command, image: str) -> ContainerError:
    hint = "create the network, or name another one"
    return ContainerError(f"the container engine has no such network for '{command.name}': {text}", hint=hint)


def _user(text: str, command: Command, image: str) -> ContainerError:
    user = command.container.user if command.container else ""
    return ContainerError(f"the image '{image}' has no user '{user}': {text}", image=image)


def _engine(text: str, command: Command, image: str) -> ContainerError:
    hint = "the engine may be starting or stopping; look at its log"
    return EngineUnreachable(f"the container engine could not run '{command.name}': {text}", hint=hint)


#: What an engine says that has no driver for GPUs at all.
_NO_DRIVER = re.compile(r"could not select device driver", re.I)
#: Seen with Docker 20.10 (runc 1.1), the first that fits counts.
_MEANINGS: list[tuple[re.Pattern[str], Callable[[str, Command, str], ContainerError]]] = [
    (re.compile(r"no such image|invalid reference format", re.I), _image),
    (
        re.compile(r"(error|invalid|duplicate) mount|mounts denied|mount path|bind source path|statfs /", re.I),
        _mount,
    ),
    (
        re.compile(r"executable file not found|exec: .*(permission denied|no such file|format error)"),
        _program,
    ),
    (re.compile(rf"{_NO_DRIVER.pattern}|nvidia-container|nvidia\.com/gpu", re.I), _gpu),
    (re.compile(r"network \S+ not found"), _network),
    (re.compile(r"unable to find (user|group)"), _user),
    (re.compile(r"containerd|grpc|shutting down|context (canceled|deadline)", re.I), _engine),
]
