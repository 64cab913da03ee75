"""Measure Celeriac and its peers as whole processes, in turns, and Celeriac on Redis; print and write the figures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import files, gauges, machine, runners, works
from benchmarks.gauges import Gauge
from benchmarks.measure import adopt_orphans
from benchmarks.outcomes import Reading
from benchmarks.report import Report
from benchmarks.tables import paper
from benchmarks.turns import Limits, plan, read, take_turns

RESULTS = Path(__file__).resolve().parent / "results"
INTERRUPTED = 130
ALL = f"{works.DEFAULT},{gauges.DEFAULT}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return 1 for ``--strict`` and a missed target, 130 for Ctrl-C, else 0."""
    parser = _parser()
    options = parser.parse_args(arguments)
    chosen = [runners.find(name) for name in options.runners]
    wanted = [work for work in options.works if isinstance(work, works.Work)]
    wanted = [work for work in wanted if not (options.quick and work.once)]
    dials = [gauge for gauge in options.works if isinstance(gauge, Gauge)]
    if not wanted and not dials:
        parser.error("--quick leaves none of these works")
    limits = Limits(repeat=options.repeat, timeout=options.timeout, slow_too=options.slow)
    log = Console(stderr=True, highlight=False)

    def say(text: str) -> None:
        log.print(text, markup=False, soft_wrap=True)

    seats = plan(wanted, chosen, limits)
    readings = [Reading(gauge.name) for gauge in dials]
    report = Report(machine.facts(chosen, options.files), [seat.result for seat in seats], readings)
    adopt_orphans()
    try:
        with files.session(options.files) as folder:
            take_turns(seats, limits, folder, say)
            for gauge, reading in zip(dials, readings, strict=True):
                read(gauge, reading, limits, folder, say)
    except KeyboardInterrupt:
        report.draw(paper())
        return INTERRUPTED  # and the report of the last whole session stays
    report.draw(paper())
    if folder := options.output or (RESULTS if _is_whole(options) else None):
        report.save(folder)
    return int(options.strict and report.missed)


def _is_whole(options: argparse.Namespace) -> bool:
    """Whether all was measured that the report in the checkout has to show."""
    wanted, given = ({work.name for work in some} for some in (_works(ALL), options.works))
    return not options.quick and wanted <= given and set(options.runners) == set(runners.NAMES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--works", type=_works, default=_works(ALL), metavar="W,...", help=f"works and gauges ({ALL})")
    add("--runners", type=_runners, default=list(runners.NAMES), metavar="R,...", help="(all)")
    add("--repeat", type=count, default=5, metavar="N", help="runs of each (5); peers get 1 from 10,000 steps")
    add("--timeout", type=seconds, metavar="S", help="seconds for one run (by the size of the work)")
    add("--quick", action="store_true", help="leave out works of 10,000 steps and more")
    add("--slow", action="store_true", help="give StreamFlow and Toil the large works too")
    add("--strict", action="store_true", help="exit 1 when a target is missed")
    add("--files", type=Path, default=files.usual(), metavar="DIR", help="where runs have their files (%(default)s)")
    add("--output", type=Path, metavar="DIR", help="for latest.json, .md, .svg (all works: benchmarks/results)")
    return parser


def _works(text: str) -> list[works.Work | Gauge]:
    try:
        found = [_work(spec) for spec in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return list({work.name: work for work in found}.values())


def _work(spec: str) -> works.Work | Gauge:
    if spec.strip().partition(":")[0] in gauges.KINDS:
        return gauges.parse(spec)
    return works.parse(spec)


def _runners(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in runners.NAMES]:
        raise argparse.ArgumentTypeError(
            f"no runner named {unknown[0]!r}; there are {', '.join(runners.NAMES)}"
        )
    return names


def count(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"a number from 1 was expected, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"seconds above 0 were expected, not {text!r}")
    return value
