"""How long it takes from one step's end to the next one's start: a chain on one worker, Redis, SQLite."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.cluster import CORES, Client, Cluster, Failed, cluster
from benchmarks.gauges.base import Gauge
from benchmarks.works import chain

#: Steps of the run that goes before, unmeasured.
_WARM = 10


def gauge(length: int) -> Gauge:
    """Return the gauge of a chain of ``length`` steps."""

    def take(folder: Path, repeat: int, timeout: float) -> Iterator[dict[str, float]]:
        with cluster(folder, timeout) as site, site.worker("steps", CORES), site.client() as client:
            _times(site, client, _WARM, folder / "warm-up")
            for turn in range(repeat):
                yield figures(_times(site, client, length, folder / str(turn)))

    return Gauge(f"latency-{length}", take, timeout=120 + length)


def _times(site: Cluster, client: Client, length: int, folder: Path) -> list[tuple[float, float]]:
    """Run a chain; return when each step started and ended, by the journal's clock."""
    folder.mkdir()
    case = chain.work(length).write(folder, random.randrange(10**6, 10**7))
    run, outputs = client.run(case)
    site.check(outputs, case)
    made = site.attempts(run)
    if len(made) != length:
        raise Failed(f"{len(made)} attempts instead of {length}")
    return [(row.started, row.ended) for row in made]


def figures(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the figures of a chain's starts and ends, given in seconds."""
    pauses = [(start - end) * 1000 for (_, end), (start, _) in zip(times, times[1:], strict=False)]
    rounds = [(start - before) * 1000 for (before, _), (start, _) in zip(times, times[1:], strict=False)]
    return {
        "step to step, p50, ms": statistics.median(pauses),
        "step to step, p99, ms": percentile(pauses, 99),
        "step to step, most, ms": max(pauses),
        "start to start, p50, ms": statistics.median(rounds),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, between the two values next to it."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
