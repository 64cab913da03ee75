"""What became of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celeriac.errors import CeleriacError
from celeriac.states import Outcome


@dataclass(frozen=True)
class JobReport:
    """What became of it."""

    outcome: Outcome
    outputs: dict[str, Any] | None = None
    error: CeleriacError | None = None
    exit_code: int | None = None
    peak_memory: int | None = None  # MiB
    cpu_seconds: float | None = None
    key: str | None = None  # later jobs of this key may have its outputs
    parts: Mapping[str, str] | None = None  # of the key; "": a remark on why it was not reused
    reused: str | None = None  # the attempt that made its outputs
    command: Sequence[str] | None = None  # what the tool was called with, where somebody outside asked for it
