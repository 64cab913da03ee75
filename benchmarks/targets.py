"""What we hold ourselves to, as ratios; and whether the runs of today reach it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.measure import Measure
from benchmarks.turns import Result

OURS = "celeriac"
BASELINE = "cwltool"

#: Work -> the largest seconds of ours over the baseline's. Works not named here are printed only.
TIME = {
    "startup": 1.5,
    "scatter-1000": 1.0,
    "scatter-10000": 0.2,
    "chain-50": 1.5,
    "containers-40": 0.4,
}
#: Our peak memory at the first work over that at the second: ten times the items, twice at most.
MEMORY = ("scatter-10000", "scatter-1000", 2.0)

_Found = dict[tuple[str, str], Result]  # by the names of work and runner


@dataclass(frozen=True)
class Verdict:
    """One ratio; ``limit`` is None where there is no target, ``ratio`` where a side has no runs."""

    work: str
    what: str
    ratio: float | None
    limit: float | None
    failed: bool  # ours did not do the work

    @property
    def word(self) -> str:
        """``ok``, ``miss``, or "" when it can't be said."""
        if self.limit is None:
            return ""
        if self.failed:
            return "miss"
        if self.ratio is None:
            return ""
        return "ok" if self.ratio <= self.limit else "miss"


def median(result: Result | None, value: Callable[[Measure], float]) -> float | None:
    """Return the median of something over the runs; None where there are none, or one failed."""
    if result is None or result.failed or not result.runs:
        return None
    return statistics.median(map(value, result.runs))


def judge(results: Sequence[Result]) -> list[Verdict]:
    """Return verdicts on the times, work by work and peer by peer, then the one on memory."""
    found = {(r.work.name, r.runner.name): r for r in results}
    times = [_time(work, peer, found) for work, peer in found if peer != OURS]
    # Without a target, a row is there for its ratio alone.
    return [*(v for v in times if v.limit is not None or v.ratio is not None), *_memory(found)]


def _time(work: str, peer: str, found: _Found) -> Verdict:
    ours = found.get((work, OURS))
    ratio = _ratio(*(median(found.get((work, name)), lambda run: run.seconds) for name in (OURS, peer)))
    limit = TIME.get(work) if peer == BASELINE else None
    return Verdict(work, f"seconds, {OURS} / {peer}", ratio, limit, bool(ours and ours.failed))


def _memory(found: _Found) -> list[Verdict]:
    large, small, limit = MEMORY
    ours = found.get((large, OURS))
    if ours is None:
        return []
    ratio = _ratio(*(median(found.get((work, OURS)), lambda run: run.tree_peak) for work in (large, small)))
    return [Verdict(large, f"peak memory of {OURS}, over {small}", ratio, limit, ours.failed)]


def _ratio(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None
