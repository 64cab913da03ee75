"""How what a command sees fits into a container that was made before it: pure but for the kind of a path."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from dataclasses import dataclass

from celeriac.container.base import Command, ContainerSpec, Mount, Sharing

#: Characters of a command line, with its environment, that take a shell longer to read than a container to start.
LONG = 50_000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CantShare(Exception):
    """Why a command needs a container of its own."""


class Unfit(CantShare):
    """Why all commands of an image do."""


@dataclass(frozen=True)
class Layout:
    """The mounts of a command, by what becomes of them."""

    own: tuple[Mount, ...]  # directories that it writes to: what is in them goes in, and comes out again
    inputs: tuple[Mount, ...]  # linked into one directory
    fixed: tuple[Mount, ...]  # the same for all commands that share


def layout(command: Command, spec: ContainerSpec, sharing: Sharing) -> Layout:
    """Return where a command's mounts go; raises :class:`CantShare`."""
    if not spec.read_only:
        raise CantShare("what it writes to its root file system would be there for the next one")
    if (spec.user or "").partition(":")[0] != str(os.geteuid()):
        raise CantShare("it runs as another user, who may not write where this one says")
    if any(not _VARIABLE.fullmatch(name) for name in command.env):
        raise CantShare("a shell can't set a variable of its environment")
    if sum(map(len, (*command.argv, *command.env.values()))) > LONG:
        raise CantShare("its command line is too long to be told to a shell, which reads one byte at a time")
    kinds: dict[str, list[Mount]] = {"own": [], "inputs": [], "fixed": []}
    for mount in spec.mounts:
        kinds[_kind(mount, sharing)].append(mount)
    inner = [(mount, own) for own in kinds["own"] for mount in spec.mounts if _is_below(mount.target, own.target)]
    if inner:
        raise CantShare(f"{inner[0][0].target} is mounted in what it writes to")
    return Layout(*(tuple(kinds[kind]) for kind in ("own", "inputs", "fixed")))


def _kind(mount: Mount, sharing: Sharing) -> str:
    is_own = any(mount.source == str(own) or _is_below(mount.source, str(own)) for own in sharing.own)
    if _is_below(mount.target, sharing.inputs) and not mount.writable:
        return "inputs"
    if mount.writable and is_own and os.path.isdir(mount.source) and not _is_below(mount.target, sharing.inputs):
        return "own"
    if mount.writable or is_own:
        raise CantShare(f"{mount.source} can't be put into a container that runs")
    return "fixed"


def key(command: Command, spec: ContainerSpec, sharing: Sharing, image: str, found: Layout) -> Hashable:
    """Return what commands have in common that may share a container."""
    limits = command.memory, command.cpus, spec.shm_size, spec.gpus
    where = tuple(mount.target for mount in found.own), found.fixed, sharing.directory, sharing.inputs
    return sharing.group, image, spec.user, spec.network, limits, where


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/") + "/")
