"""The report: one table of seconds and ratios, one of memory; JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measure
from benchmarks.targets import OURS, Verdict, judge, median
from benchmarks.turns import Result

MIB = 2**20


@dataclass(frozen=True)
class Sheet:
    """A table before it is drawn: the first row is the head."""

    title: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Report:
    """The results of one session of turns, with the machine they were taken on."""

    machine: dict[str, Any]
    results: Sequence[Result]

    @property
    def verdicts(self) -> list[Verdict]:
        return judge(self.results)

    @property
    def missed(self) -> bool:
        """Whether a target was missed, or we failed at a work."""
        failed = any(r.failed and r.runner.name == OURS for r in self.results)
        return failed or any(v.word == "miss" for v in self.verdicts)

    def sheets(self) -> list[Sheet]:
        """Return the tables: seconds, memory, targets."""
        return [
            Sheet("Median seconds", self._by_runner(lambda run: run.seconds, "{:.2f}")),
            Sheet("Median peak memory of the process tree, MiB", self._by_runner(_tree_mib, "{:.0f}")),
            Sheet("Ratios", [["work", "what", "ratio", "target", "verdict"], *map(_verdict, self.verdicts)]),
        ]

    def _by_runner(self, value: Callable[[Measure], float], form: str) -> list[list[str]]:
        runners = list(dict.fromkeys(r.runner.name for r in self.results))
        rows: dict[str, list[str]] = {}
        for result in self.results:
            middle = median(result, value)
            cell = (result.note or "-") if middle is None else form.format(middle)
            rows.setdefault(result.work.name, [result.work.name]).append(cell)
        return [["work", *runners], *rows.values()]

    def draw(self, console: Console) -> None:
        """Print the tables on a terminal."""
        for sheet in self.sheets():
            head, *rows = sheet.rows
            table = Table(title=sheet.title, title_justify="left")
            for index, name in enumerate(head):
                table.add_column(name, justify="right" if index else "left")
            for row in rows:
                table.add_row(*row)
            console.print(table)

    def save(self, folder: Path) -> None:
        """Write ``latest.json`` and ``latest.md`` into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "latest.json").write_text(json.dumps(self.to_dict(), indent=2) + "\n")
        (folder / "latest.md").write_text(self.markdown())

    def markdown(self) -> str:
        """Return the tables and the facts as Markdown."""
        parts = ["# Benchmarks", _facts(self.machine)]
        for sheet in self.sheets():
            parts += [f"## {sheet.title}", _pipes(sheet.rows)]
        return "\n\n".join(parts) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, each single run too, as JSON."""
        return {
            "machine": self.machine,
            "results": [_result(result) for result in self.results],
            "ratios": [{**asdict(v), "verdict": v.word} for v in self.verdicts],
        }


def _tree_mib(run: Measure) -> float:
    return run.tree_peak / MIB


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _verdict(verdict: Verdict) -> list[str]:
    ratio, limit = _number(verdict.ratio), _number(verdict.limit)
    return [verdict.work, verdict.what, ratio, limit, verdict.word or "-"]


def _result(result: Result) -> dict[str, Any]:
    return {
        "work": result.work.name,
        "runner": result.runner.name,
        "note": result.note,
        "median_seconds": median(result, lambda run: run.seconds),
        "median_peak_mib": median(result, _tree_mib),
        "runs": [asdict(run) for run in result.runs],
    }


def _facts(machine: dict[str, Any]) -> str:
    lines = [f"- {name.replace('_', ' ')}: {value}" for name, value in machine.items() if name != "versions"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return "\n".join([*lines, f"- versions: {versions}"])


def _pipes(rows: list[list[str]]) -> str:
    head, *rest = rows
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in [head, rule, *rest]
    )
