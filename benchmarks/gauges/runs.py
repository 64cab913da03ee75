"""What a run costs when there are many at once: small scatters, submitted together to two workers on Redis."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.cluster import CORES, Client, Cluster, cluster
from benchmarks.gauges.base import Gauge
from benchmarks.works import Case, scatter

WORKERS = ("one", "two")
#: Steps of each run.
STEPS = 10
#: Runs that go before, unmeasured: each process of the workers has then loaded the document.
_WARM = 8


def gauge(count: int) -> Gauge:
    """Return the gauge of ``count`` runs at once; the workers share the host's cores."""

    def take(folder: Path, repeat: int, timeout: float) -> Iterator[dict[str, float]]:
        slots = max(1, CORES // len(WORKERS))
        with cluster(folder, timeout) as site, site.client() as client:
            first, second = (site.worker(name, slots) for name in WORKERS)
            with first, second:
                _seconds(site, client, _WARM)
                for _ in range(repeat):
                    yield figures(count, _seconds(site, client, count))

    return Gauge(f"runs-{count}", take, timeout=120 + 10 * count)


def figures(count: int, seconds: float) -> dict[str, float]:
    """Return the figures of so many runs that took so long together."""
    return {"seconds": seconds, "a run, ms": seconds / count * 1000}


def _seconds(site: Cluster, client: Client, count: int) -> float:
    """Run so many; returns the seconds from the first message to the last run's outputs."""
    cases = [_case(site.folder / secrets.token_hex(4)) for _ in range(count)]
    cases = [replace(case, document=cases[0].document) for case in cases]  # all have one, as they would have
    start = time.perf_counter()
    outputs = client.outputs([client.submit(case) for case in cases])
    seconds = time.perf_counter() - start
    for case, made in zip(cases, outputs, strict=True):
        site.check(made, case)
    return seconds


def _case(folder: Path) -> Case:
    folder.mkdir()
    return scatter.work(STEPS).write(folder, random.randrange(10**6, 10**9))
