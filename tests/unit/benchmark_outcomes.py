"""Outcomes of benchmarks that were never measured."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Measure
from benchmarks.outcomes import MIB, Result


def run(seconds: float, mib: int = 50, exit_code: int = 0, timed_out: bool = False) -> Measure:
    """Return one run of a command."""
    return Measure(seconds, mib * MIB, mib * MIB, exit_code, timed_out, left_behind=0)


def result(
    work: str, runner: str, *seconds: float, mib: int = 50, note: str = "", failures: Sequence[str] = ()
) -> Result:
    """Return what runs of so many seconds amount to, beside turns that failed."""
    runs = [run(each, mib) for each in seconds]
    return Result(work, runner, runs, note, title=f"the {work}", failures=list(failures))
