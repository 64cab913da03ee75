"""The facts that a figure means nothing without. No names and no paths: reports are published."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped,unused-ignore]

from benchmarks.files import system
from benchmarks.runners import Runner

_PACKAGES = ("celery", "kombu", "SQLAlchemy", "docker", "quickjs-ng")
_SERVICES = {
    "docker engine": ["docker", "version", "--format", "{{.Server.Version}}"],
    "redis-server": ["redis-server", "--version"],
}


def facts(runners: Sequence[Runner], files: Path) -> dict[str, Any]:
    """Return what the machine is, how busy it is now, and the versions of all that takes part."""
    versions = {runner.name: runner.version() for runner in runners if runner.program}
    versions |= {name: metadata.version(name) for name in _PACKAGES}
    versions |= {name: _version(command) for name, command in _SERVICES.items()}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "files": system(files),
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def _version(command: list[str]) -> str:
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        text = ""
    found = re.search(r"\d+(\.\d+)+", text)
    return found.group() if found else "none"
