"""What we hold ourselves to, and whether the runs of today reach it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.outcomes import Reading, Result

OURS = "celeriac"
BASELINE = "cwltool"

#: Work -> the largest seconds of ours over the baseline's. Works not named here are printed only.
TIME = {
    "startup": 1.0,
    "scatter-1000": 0.5,
    "scatter-10000": 0.05,
    "chain-50": 1.0,
    "layers-20x20": 0.6,
    "containers-40": 0.22,
    "containers-reused-40": 0.1,
    "load-1000": 1.0,
}
#: Our seconds an item, less those of a start, at the first size over those at the second.
GROWTH = ("scatter", 10_000, 1_000, 1.15)
#: Our peak memory at the first work over that at the second.
MEMORY = ("scatter-10000", "scatter-100", 1.5)
#: Gauge and figure -> the largest value.
FIGURES = {
    ("latency-200", "step to step, p50, ms"): 10.0,
    ("latency-200", "step to step, p99, ms"): 40.0,
    ("empty-1000", "scatter of commands / Celery group"): 3.0,
    ("clients-200", "a run's state, p99, ms"): 250.0,
}

_Found = dict[tuple[str, str], Result]  # by the names of work and runner


@dataclass(frozen=True)
class Verdict:
    """One figure; ``limit`` is None where there is no target, ``value`` where something was not measured."""

    work: str
    what: str
    value: float | None
    limit: float | None
    failed: bool  # ours did not do the work

    @property
    def word(self) -> str:
        """``ok``, ``miss``, or "" when it can't be said."""
        if self.limit is None:
            return ""
        if self.failed:
            return "miss"
        if self.value is None:
            return ""
        return "ok" if self.value <= self.limit else "miss"


def judge(results: Sequence[Result], readings: Sequence[Reading] = ()) -> list[Verdict]:
    """Return verdicts on times, work by work and peer by peer, on growth, on memory, on the gauges."""
    found = {(r.work, r.runner): r for r in results}
    times = [_time(work, peer, found) for work, peer in found if peer != OURS]
    # Without a target, a row is there for its ratio alone.
    named = [v for v in times if v.limit is not None or v.value is not None]
    return [*named, *_growth(found), *_memory(found), *_figures(readings)]


def _time(work: str, peer: str, found: _Found) -> Verdict:
    ours = found.get((work, OURS))
    value = _ratio(ours.seconds if ours else None, found[work, peer].seconds)
    limit = TIME.get(work) if peer == BASELINE else None
    return Verdict(work, f"seconds, {OURS} / {peer}", value, limit, bool(ours and ours.failed))


def _growth(found: _Found) -> Iterator[Verdict]:
    kind, large, small, limit = GROWTH
    ours = found.get((f"{kind}-{large}", OURS))
    if ours is not None:
        value = _ratio(*(_per_item(found, f"{kind}-{count}", count) for count in (large, small)))
        yield Verdict(ours.work, f"{OURS}'s cost per item, over {kind}-{small}", value, limit, ours.failed)


def _per_item(found: _Found, work: str, count: int) -> float | None:
    start, whole = (found.get((name, OURS)) for name in ("startup", work))
    if start is None or whole is None or start.seconds is None or whole.seconds is None:
        return None
    return per_item(whole.seconds, start.seconds, count)


def per_item(seconds: float, startup: float, count: int) -> float:
    """Return what an item costs on top of a start, in seconds."""
    return max(0.0, seconds - startup) / count


def _memory(found: _Found) -> Iterator[Verdict]:
    large, small, limit = MEMORY
    ours, less = found.get((large, OURS)), found.get((small, OURS))
    if ours is not None:
        value = _ratio(ours.peak_mib, less.peak_mib if less else None)
        yield Verdict(large, f"{OURS}'s peak memory, over {small}", value, limit, ours.failed)


def _figures(readings: Sequence[Reading]) -> Iterator[Verdict]:
    for reading in readings:
        shown = reading.figures
        wanted = [name for gauge, name in FIGURES if gauge == reading.gauge and name not in shown]
        for name in [*shown, *wanted]:
            limit = FIGURES.get((reading.gauge, name))
            yield Verdict(reading.gauge, name, shown.get(name), limit, reading.failed)


def _ratio(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None  # nothing over nothing says nothing
