"""What is left on the host of a site's runs: containers, and processes of plain tools."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from signal import SIGKILL
from typing import Any

import docker
from docker.errors import DockerException

from celeriac.container.procfs import environment, pids, stat
from celeriac.container.tree import MARK


def containers(url: str, runs: Collection[str]) -> dict[str, str]:
    """Return the containers of some runs, also those that don't run, and what each is."""
    with docker.APIClient(base_url=url) as client:
        found = client.containers(all=True, filters={"label": "celeriac.run"})
        return {one["Id"]: _tell(client, one) for one in found if one["Labels"]["celeriac.run"] in runs}


def processes(attempts: Collection[str]) -> dict[int, str]:
    """Return the living processes of some attempts' plain tools, and what each is."""
    found = {}
    for pid in pids():
        for entry in environment(pid):
            # OWNER:NAME:NUMBER; a tool's name is its attempt
            name = entry.decode(errors="replace").rpartition(":")[0].rpartition(":")[2]
            one = stat(pid)
            if entry.startswith(MARK.encode() + b"=") and name in attempts and one and one.is_alive:
                found[pid] = f"process {pid} of attempt {name}"
    return found


def remove(url: str, runs: Collection[str], attempts: Collection[str]) -> None:
    """End what a test that failed has left."""
    for pid in processes(attempts):
        with suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)
    with docker.APIClient(base_url=url) as client:
        for one in containers(url, runs):
            with suppress(DockerException):
                client.remove_container(one, force=True)


def _tell(client: docker.APIClient, one: dict[str, Any]) -> str:
    """Say what a container is, and what runs in it."""
    names, labels, inside = " ".join(one["Names"] or []), one["Labels"], ""
    with suppress(DockerException):  # it does not run
        inside = str([row[-1] for row in client.top(one["Id"])["Processes"] or []])
    return f"container {one['Id'][:12]} {names} ({one['Status']}) of {labels} {inside}"
