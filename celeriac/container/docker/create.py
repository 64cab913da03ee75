"""A command as the arguments of the engine's create call. Pure."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils import parse_bytes

from celeriac.container.base import Command, ContainerSpec
from celeriac.container.owner import SHARED

#: What a container that commands share runs: any image that has it will do.
SHELL = "sh"
#: The least memory that an engine lets a container have (bytes).
MIN_MEMORY = 6 * 2**20
#: The least share of a CPU.
MIN_CPUS = 0.01
#: The engine's driver of GPUs. Named, since on a host with cards of two makers the engine would take either,
#: and CUDA runs on this one alone.
GPU_DRIVER = "nvidia"


def container_name(name: str) -> str:
    """Return a name that an engine takes, the same for the same name."""
    if re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
        return name
    readable = re.sub(r"[^a-zA-Z0-9_.-]", "-", name)
    return f"c{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def container_arguments(
    command: Command, spec: ContainerSpec, image_id: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the keywords of ``APIClient.create_container`` but ``host_config``."""
    arguments = _arguments(command, spec, image_id, labels)
    return arguments | _as_shared(arguments) if spec.sharing else arguments


def _as_shared(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs where commands share a container: a shell waits there for orders."""
    return {
        "entrypoint": [SHELL],
        "command": [],
        "environment": {},
        "working_dir": "/",
        "labels": {**arguments["labels"], SHARED: "yes"},
        "stdin_open": True,  # and closed with our end of it: then the shell ends, and its container
        "healthcheck": {"test": ["NONE"]},  # its processes would be taken for a command's
    }


def _arguments(command: Command, spec: ContainerSpec, image_id: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "image": image_id,
        "command": list(command.argv),  # the image's entrypoint stays
        "name": container_name(command.name),
        "environment": dict(command.env),
        "working_dir": command.workdir,
        "user": spec.user,
        "labels": {**spec.labels, **labels},
        "stdin_open": command.stdin is not None,
        # its own namespace with nothing but lo either way; an engine that joins it to the network "none" starts
        # itself once more for each container, which takes as long as all the rest
        "network_disabled": spec.network == "none",
        "use_config_proxy": spec.network != "none",
    }


def host_arguments(command: Command, spec: ContainerSpec, *, is_local: bool) -> dict[str, Any]:
    """Return the keywords of ``APIClient.create_host_config``.

    ``is_local``: the engine's CPUs are this host's. It refuses to grant more than there are.
    """
    options: dict[str, Any] = {
        "init": True,  # reaps, passes signals on: SIGTERM ends a shell script as PID 1 at once
        # its exit code could be gone before it is read; of a shell that commands share nobody asks for one
        "auto_remove": spec.sharing is not None,
        "log_config": LogConfig(type="none"),
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": spec.read_only,
        # not binds: a bind makes a missing source as an empty directory of root's
        "mounts": [
            Mount(mount.target, mount.source, type="bind", read_only=not mount.writable) for mount in spec.mounts
        ],
    }
    if spec.network is not None:
        options["network_mode"] = spec.network
    if command.memory:
        options["mem_limit"] = options["memswap_limit"] = max(command.memory, MIN_MEMORY)  # no swap
    if command.cpus:
        options["nano_cpus"] = _nano_cpus(command.cpus, os.cpu_count() if is_local else None)
    if spec.shm_size:
        options["shm_size"] = parse_bytes(spec.shm_size)
    if spec.gpus:
        options["device_requests"] = [
            DeviceRequest(driver=GPU_DRIVER, device_ids=list(spec.gpus), capabilities=[["gpu"]])
        ]
    return options


def _nano_cpus(cpus: float, there_are: int | None) -> int:
    granted = max(MIN_CPUS, min(cpus, there_are) if there_are else cpus)
    return int(granted * 1e9)
