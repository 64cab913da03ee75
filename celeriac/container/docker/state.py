"""A container's state as the engine tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class State:
    """The part of ``inspect`` that says how a container is."""

    status: str  # created, running, paused, restarting, removing, exited, dead
    exit_code: int
    oom_killed: bool  # also true when only a child was killed
    error: str
    seconds: float | None  # between start and end, by the engine's clock

    @classmethod
    def of(cls, inspected: Mapping[str, Any]) -> State:
        """Read it from the engine's answer to an inspect."""
        state = inspected["State"]
        return cls(
            status=str(state.get("Status", "")),
            exit_code=int(state.get("ExitCode", 0)),
            oom_killed=bool(state.get("OOMKilled")),
            error=str(state.get("Error") or ""),
            seconds=_seconds(state.get("StartedAt", ""), state.get("FinishedAt", "")),
        )

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status not in ("running", "paused", "restarting")


def _seconds(start: str, end: str) -> float | None:
    try:
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (TypeError, ValueError):
        return None
    return seconds if seconds >= 0 else None
