"""What came of a session: plain values, which go into the report's JSON and come back out of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measure import Measure

MIB = 2**20


@dataclass
class Result:
    """What one runner did with one work: the right runs, and why there are no more of them.

    Runs that failed beside right ones are a peer's: they are told and not counted. Ours have a note.
    """

    work: str
    runner: str
    runs: list[Measure] = field(default_factory=list)
    note: str = ""  # "not installed", "skipped: ...", "failed: ..."
    title: str = ""  # the work's name for people
    failures: list[str] = field(default_factory=list)  # why, for each turn that failed: "exit 1"

    @property
    def failed(self) -> bool:
        return self.note.startswith("failed")

    def median(self, value: Callable[[Measure], float]) -> float | None:
        """Return the median of something over the runs; None where there are none, or one failed."""
        return None if self.failed or not self.runs else statistics.median(map(value, self.runs))

    @property
    def seconds(self) -> float | None:
        return self.median(lambda run: run.seconds)

    @property
    def peak_mib(self) -> float | None:
        return self.median(lambda run: run.tree_peak / MIB)

    def to_dict(self) -> dict[str, Any]:
        """Return it with its medians, for programs."""
        return {**asdict(self), "median_seconds": self.seconds, "median_peak_mib": self.peak_mib}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """Return what :meth:`to_dict` was made of."""
        runs = [Measure(**run) for run in data["runs"]]
        return cls(
            data["work"], data["runner"], runs, data["note"], data.get("title", ""), data.get("failures", [])
        )


@dataclass
class Reading:
    """What a gauge showed, turn by turn: figures by their names, which end with their unit if they have one."""

    gauge: str
    turns: list[dict[str, float]] = field(default_factory=list)
    note: str = ""  # "not measured: ...", "failed: ..."

    @property
    def failed(self) -> bool:
        return self.note.startswith("failed")

    @property
    def figures(self) -> dict[str, float]:
        """The medians over the turns, none where one failed."""
        if self.failed or not self.turns:
            return {}
        return {name: statistics.median(turn[name] for turn in self.turns) for name in self.turns[0]}

    def to_dict(self) -> dict[str, Any]:
        """Return it with its medians, for programs."""
        return {**asdict(self), "medians": self.figures}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Reading:
        """Return what :meth:`to_dict` was made of."""
        return cls(data["gauge"], data["turns"], data["note"])
