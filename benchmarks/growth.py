"""The report on growth: what an item costs as a scatter grows, what a run costs among others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, Group, draw
from benchmarks.gauges.runs import STEPS
from benchmarks.outcomes import Reading, Result
from benchmarks.tables import Sheet, number, page
from benchmarks.targets import per_item

NAME = "scaling"


@dataclass(frozen=True)
class Growth:
    """One start, scatters of ours from small to large, runs at once from few to many."""

    machine: dict[str, Any]
    startup: Result
    scatters: Sequence[Result]
    runs: Sequence[Reading]

    def sheets(self) -> list[Sheet]:
        """Return the tables."""
        items = [[f"{_count(r.work):,}", *_cells(r.note, r.seconds, self._item(r), r.peak_mib)] for r in self.scatters]
        runs = [[f"{_count(r.gauge):,}", *_cells(r.note, *_run(r))] for r in self.runs]
        title = f"Runs at once, each a scatter of {STEPS}, on two Redis workers"
        return [
            Sheet("Items of one scatter", [["items", "seconds", "ms an item", "peak MiB"], *items]),
            Sheet(title, [["runs", "seconds", "ms a run"], *runs]),
        ]

    def _item(self, result: Result) -> float | None:
        """Return the milliseconds of an item on top of a start."""
        if result.seconds is None or self.startup.seconds is None:
            return None
        return per_item(result.seconds, self.startup.seconds, _count(result.work)) * 1000

    def plot(self) -> str:
        """Return the tables as a picture: SVG."""
        items = [_bar(r.work, "items", self._item(r), "ms") for r in self.scatters]
        memory = [_bar(r.work, "items", r.peak_mib, "MiB") for r in self.scatters]
        runs = [_bar(r.gauge, "at once", _run(r)[1], "ms") for r in self.runs]
        groups = [
            Group("an item of a scatter", items),
            Group("peak memory of a scatter", memory),
            Group(f"a run of {STEPS} steps, on two Redis workers", runs),
        ]
        return draw("Cost as it grows, flat is better", [group for group in groups if group.bars])

    def save(self, folder: Path) -> None:
        """Write ``scaling.json``, ``scaling.md`` and ``scaling.svg`` into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.json").write_text(json.dumps(self.to_dict(), indent=1) + "\n")
        (folder / f"{NAME}.md").write_text(page("Scaling", self.machine, self.sheets()))
        (folder / f"{NAME}.svg").write_text(self.plot())

    def to_dict(self) -> dict[str, Any]:
        """Return everything, each single run too, as JSON."""
        return {
            "machine": self.machine,
            "startup": self.startup.to_dict(),
            "scatters": [result.to_dict() for result in self.scatters],
            "runs": [reading.to_dict() for reading in self.runs],
        }

    @classmethod
    def load(cls, folder: Path) -> Growth:
        """Return what :meth:`save` has written."""
        data = json.loads((folder / f"{NAME}.json").read_text())
        scatters = [Result.from_dict(result) for result in data["scatters"]]
        runs = [Reading.from_dict(reading) for reading in data["runs"]]
        return cls(data["machine"], Result.from_dict(data["startup"]), scatters, runs)


def _count(name: str) -> int:
    return int(name.rpartition("-")[2])


def _run(reading: Reading) -> tuple[float | None, float | None]:
    """Return the seconds of all and the milliseconds of one."""
    figures = reading.figures
    return figures.get("seconds"), figures.get("a run, ms")


def _cells(note: str, first: float | None, *rest: float | None) -> list[str]:
    return [number(first) if first is not None else note or "-", *map(number, rest)]


def _bar(name: str, what: str, value: float | None, unit: str) -> Bar:
    text = "-" if value is None else f"{number(value)} {unit}"
    return Bar(f"{_count(name):,} {what}", value, text, ours=True)
