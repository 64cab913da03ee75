"""The report of a session: tables, a plot, JSON for programs - and out of that JSON again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.bars import Bar, Group, draw
from benchmarks.outcomes import Reading, Result
from benchmarks.tables import Sheet, number, page
from benchmarks.targets import BASELINE, OURS, TIME, Verdict, judge

NAME = "latest"
#: The runners' names for people.
LABELS = {OURS: "Celeriac", BASELINE: "cwltool --parallel", "streamflow": "StreamFlow", "toil": "Toil"}


@dataclass(frozen=True)
class Report:
    """The outcomes of one session, with the machine they were taken on."""

    machine: dict[str, Any]
    results: Sequence[Result]
    readings: Sequence[Reading] = ()

    @property
    def verdicts(self) -> list[Verdict]:
        return judge(self.results, self.readings)

    @property
    def missed(self) -> bool:
        """Whether a target was missed, or we failed at a work or a gauge."""
        failed = any(r.failed and r.runner == OURS for r in self.results) or any(r.failed for r in self.readings)
        return failed or any(v.word == "miss" for v in self.verdicts)

    def sheets(self) -> list[Sheet]:
        """Return the tables: side by side, memory, targets and all other figures."""
        head = ["work", "what", "measured", "at most", "verdict"]
        sheets = [
            self.side_by_side(),
            Sheet("Median peak memory of the process tree, MiB", self._by_runner(lambda r: r.peak_mib)),
            Sheet("Figures", [head, *map(_verdict, self.verdicts), *_unread(self.readings)], words=2),
        ]
        return [sheet for sheet in sheets if len(sheet.rows) > 1]

    def side_by_side(self) -> Sheet:
        """Return the seconds of all runners, and our ratio to the baseline with its target."""
        rows = self._by_runner(lambda r: r.seconds)
        if not {LABELS[OURS], LABELS[BASELINE]} <= set(rows[0]):
            return Sheet("Median seconds", rows, notes=self.notes())
        ratios = {v.work: v for v in self.verdicts if v.what.endswith(f"/ {BASELINE}")}
        after = rows[0].index(LABELS[BASELINE]) + 1
        names = list(dict.fromkeys(r.work for r in self.results))
        cells = [["ratio", "at most"], *(_ratio(name, ratios.get(name)) for name in names)]
        merged = [[*row[:after], *extra, *row[after:]] for row, extra in zip(rows, cells, strict=True)]
        return Sheet("Median seconds; a ratio is Celeriac's to cwltool's", merged, notes=self.notes())

    def notes(self) -> list[str]:
        """Return a sentence on each peer that has failed some turns of a work and not others."""
        return [_some_failed(result) for result in self.results if result.failures and not result.failed]

    def others(self) -> Sheet:
        """Return the figures with a target that are no ratio to the baseline."""
        rows = [_verdict(v) for v in self.verdicts if v.limit is not None and not v.what.startswith("seconds, ")]
        return Sheet("Other targets", [["work", "what", "measured", "at most", "verdict"], *rows], words=2)

    def _by_runner(self, value: Callable[[Result], float | None]) -> list[list[str]]:
        runners = [LABELS.get(name, name) for name in dict.fromkeys(r.runner for r in self.results)]
        rows: dict[str, list[str]] = {}
        for result in self.results:
            middle = value(result)
            cell = (result.note or "-") if middle is None else number(middle)
            rows.setdefault(result.work, [result.title or result.work]).append(cell)
        return [["work", *runners], *rows.values()]

    def draw(self, console: Console) -> None:
        """Print the tables on a terminal."""
        for sheet in self.sheets():
            sheet.draw(console)

    def plot(self) -> str:
        """Return the seconds as a picture: SVG."""
        groups: dict[str, list[Bar]] = {}
        for result in self.results:
            if result.seconds is not None or result.failed:
                groups.setdefault(result.title or result.work, []).append(_bar(result))
        return draw("Median seconds, less is better", [Group(title, bars) for title, bars in groups.items()])

    def save(self, folder: Path) -> None:
        """Write ``latest.json``, ``latest.md`` and ``latest.svg`` into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.json").write_text(json.dumps(self.to_dict(), indent=1) + "\n")
        (folder / f"{NAME}.md").write_text(page("Benchmarks", self.machine, self.sheets()))
        (folder / f"{NAME}.svg").write_text(self.plot())

    def to_dict(self) -> dict[str, Any]:
        """Return everything, each single run too, as JSON."""
        return {
            "machine": self.machine,
            "results": [result.to_dict() for result in self.results],
            "readings": [reading.to_dict() for reading in self.readings],
            "figures": [{**asdict(v), "verdict": v.word} for v in self.verdicts],
        }

    @classmethod
    def load(cls, folder: Path) -> Report:
        """Return what :meth:`save` has written; the figures are judged by the targets of today."""
        data = json.loads((folder / f"{NAME}.json").read_text())
        results = [Result.from_dict(result) for result in data["results"]]
        return cls(data["machine"], results, [Reading.from_dict(reading) for reading in data["readings"]])


def _some_failed(result: Result) -> str:
    failed, turns = len(result.failures), len(result.failures) + len(result.runs)
    why = ", ".join(dict.fromkeys(result.failures))
    runner, work = LABELS.get(result.runner, result.runner), result.title or result.work
    return f"{runner} failed in {failed} of {turns} turns at '{work}' ({why}); its figures are those of the others."


def _bar(result: Result) -> Bar:
    label = LABELS.get(result.runner, result.runner)
    text = "failed" if result.failed else f"{number(result.seconds)} s"
    return Bar(label, result.seconds, text, ours=result.runner == OURS)


def _verdict(verdict: Verdict) -> list[str]:
    return [verdict.work, verdict.what, number(verdict.value), number(verdict.limit), verdict.word or "-"]


def _unread(readings: Sequence[Reading]) -> list[list[str]]:
    return [[reading.gauge, reading.note, "-", "-", "-"] for reading in readings if reading.note]


def _ratio(work: str, verdict: Verdict | None) -> list[str]:
    limit = number(TIME.get(work))
    if verdict is None or verdict.value is None:
        return ["-", limit]
    value = number(verdict.value)
    return [f"**{value}**" if verdict.word == "miss" else value, limit]
