"""Measure how Celeriac's costs grow: items of one scatter, runs at once. ``python -m benchmarks.scaling``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import files, machine, runners
from benchmarks.cli import INTERRUPTED, RESULTS, count, seconds
from benchmarks.gauges import runs
from benchmarks.growth import Growth
from benchmarks.measure import adopt_orphans
from benchmarks.outcomes import Reading
from benchmarks.tables import paper
from benchmarks.targets import OURS
from benchmarks.turns import Limits, Say, Seat, plan, read, take_turns
from benchmarks.works import scatter, startup

ITEMS = "100,1000,10000,100000"
RUNS = "1,10,100"
#: Items from which one run is enough.
_ONCE = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return 130 for Ctrl-C, else 0."""
    options = _parser().parse_args(arguments)
    log, out = Console(stderr=True, highlight=False), paper()
    limits = Limits(repeat=options.repeat, timeout=options.timeout)
    ours = runners.find(OURS)
    seats = plan([startup.work(), *map(scatter.work, options.items)], [ours], limits)
    readings = [Reading(f"runs-{number}") for number in options.runs]
    first, *others = [seat.result for seat in seats]
    growth = Growth(machine.facts([ours], options.files), first, others, readings)

    def say(text: str) -> None:
        log.print(text, markup=False, soft_wrap=True)

    adopt_orphans()
    try:
        with files.session(options.files) as folder:
            _measure(seats, readings, limits, folder, say)
    except KeyboardInterrupt:
        _draw(growth, out)
        return INTERRUPTED  # and the report of the last whole session stays
    _draw(growth, out)
    whole = options.items == _counts(ITEMS) and options.runs == _counts(RUNS)
    if folder := options.output or (RESULTS if whole else None):
        growth.save(folder)
    return 0


def _measure(seats: Sequence[Seat], readings: Sequence[Reading], limits: Limits, folder: Path, say: Say) -> None:
    once = Limits(1, limits.timeout)
    for seat in seats:
        take_turns([seat], once if seat.work.steps >= _ONCE else limits, folder, say)
    for reading in readings:
        read(runs.gauge(int(reading.gauge.rpartition("-")[2])), reading, limits, folder, say)


def _draw(growth: Growth, console: Console) -> None:
    for sheet in growth.sheets():
        sheet.draw(console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    add = parser.add_argument
    add("--items", type=_counts, default=_counts(ITEMS), metavar="N,...", help=f"items of a scatter ({ITEMS})")
    add("--runs", type=_counts, default=_counts(RUNS), metavar="N,...", help=f"runs at once ({RUNS})")
    add("--repeat", type=count, default=3, metavar="N", help="runs of each (3); one from 10,000 items")
    add("--timeout", type=seconds, default=1800.0, metavar="S", help="seconds for one (1800)")
    add("--files", type=Path, default=files.usual(), metavar="DIR", help="where runs have their files (%(default)s)")
    add("--output", type=Path, metavar="DIR", help="for scaling.json, .md, .svg (all sizes: benchmarks/results)")
    return parser


def _counts(text: str) -> list[int]:
    """Read numbers with commas between them; none at all is an answer too."""
    return list(dict.fromkeys(count(word) for word in text.split(","))) if text else []


if __name__ == "__main__":
    sys.exit(main())
