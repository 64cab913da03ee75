"""Measure what containers cost through the Docker SDK alone: the limit of ours. ``python -m benchmarks.engine``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker import APIClient
from docker.types import Mount

IMAGE = "alpine"
CONTAINERS = 40
LIMITS = {"mem_limit": 2**30, "memswap_limit": 2**30, "nano_cpus": 10**9}


def main() -> int:
    """Print the milliseconds that a container takes, alone and with what a step's has."""
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as tmp:
        mounts = {"mounts": [Mount("/out", out, "bind"), Mount("/tmp", tmp, "bind")]}
        _show("nothing else", 2, {})
        _show("nothing else", 4, {})
        _show("two mounts", 2, mounts)
        _show("two mounts, limits", 2, {**mounts, **LIMITS})
        _show("two mounts, limits, an init", 2, {**mounts, **LIMITS, "init": True})
    return 0


def _show(what: str, threads: int, settings: Mapping[str, Any]) -> None:
    client = APIClient(version="auto")
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: _container(client, settings), range(CONTAINERS)))
    print(f"{1000 * (time.monotonic() - began) / CONTAINERS:.0f} ms a container by {threads} threads: {what}")


def _container(client: APIClient, settings: Mapping[str, Any]) -> None:
    host = client.create_host_config(network_mode="none", **settings)
    made = client.create_container(IMAGE, ["echo"], network_disabled=True, host_config=host)["Id"]
    try:
        client.start(made)
        client.wait(made)
    finally:
        client.remove_container(made, force=True)


if __name__ == "__main__":
    raise SystemExit(main())
