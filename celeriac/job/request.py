"""What is asked of the job runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cwltool.process import Process

from celeriac.job.options import RunOptions
from celeriac.job.place import Place


@dataclass(frozen=True)
class JobRequest:
    """One attempt to run one tool."""

    tool: Process
    inputs: dict[str, Any]
    place: Place
    options: RunOptions
    name: str  # unique: the attempt's id
    title: str  # for people: the step's path
    memory: int | None = None  # bytes
    cpus: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
