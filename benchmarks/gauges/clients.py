"""How `celeriac api` answers while many clients submit and poll, and workers work: the seconds of a look at a state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.cluster import CORES, Cluster, Failed, cluster
from benchmarks.gauges.base import Gauge
from benchmarks.gauges.latency import percentile

#: Seconds for which clients begin anew, and between two looks of one; looks that follow a submit.
SECONDS, PAUSE, LOOKS = 60.0, 0.5, 5
#: Seconds of the round that goes before, unmeasured.
_WARM = 3.0
_ROUTE = "/ga4gh/wes/v1/runs"
_TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs: {file: {type: File, inputBinding: {}}}
outputs: {out: stdout}
"""
_FORM = {
    "workflow_type": "CWL",
    "workflow_type_version": "v1.2",
    "workflow_url": "cat.cwl",
    "workflow_params": '{"file": {"class": "File", "contents": "x", "basename": "x"}}',
}


@dataclass
class _Seen:
    """What the clients of one round saw."""

    runs: list[str] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)  # seconds
    ended: set[str] = field(default_factory=set)


def gauge(count: int) -> Gauge:
    """Return the gauge of ``count`` clients at once, on one process of the server."""

    def take(folder: Path, repeat: int, timeout: float) -> Iterator[dict[str, float]]:
        with cluster(folder, timeout) as site, site.worker("steps", CORES), site.api() as url:
            _round(site, url, count, _WARM)
            for _ in range(repeat):
                yield figures(_round(site, url, count, SECONDS))

    return Gauge(f"clients-{count}", take, timeout=120 + 2 * SECONDS)


def figures(seen: _Seen) -> dict[str, float]:
    """Return the figures of a round."""
    looks: Sequence[float] = [1000 * one for one in seen.looks]
    return {
        "a run's state, p50, ms": percentile(looks, 50),
        "a run's state, p99, ms": percentile(looks, 99),
        "runs submitted": len(seen.runs),
        "runs seen to end well": len(seen.ended),
    }


def _round(site: Cluster, url: str, count: int, seconds: float) -> _Seen:
    """Have clients submit and look for so long. Raises :class:`Failed` for any error, and for a run that is lost."""
    seen = _Seen()
    try:
        asyncio.run(_clients(url, count, seen, seconds))
    except* httpx.HTTPError as errors:
        raise Failed(f"a client was not answered: {errors.exceptions[0]!r}") from errors
    lost = set(seen.runs) - site.runs()
    if lost:
        raise Failed(f"{len(lost)} of {len(seen.runs)} runs that were taken are not in the journal")
    if not seen.ended:
        raise Failed("no run ended while clients looked: the workers did not work")
    return seen


async def _clients(url: str, count: int, seen: _Seen, seconds: float) -> None:
    end = time.monotonic() + seconds
    # one pool with a connection for each: to make a pool takes longer than to answer
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=100, limits=limits) as ask, asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_client(ask, seen, end))


async def _client(ask: httpx.AsyncClient, seen: _Seen, end: float) -> None:
    parts = [("workflow_attachment", ("cat.cwl", _TOOL.encode())), *((name, (None, _FORM[name])) for name in _FORM)]
    over = False
    while not over:
        answer = _right(await ask.post(_ROUTE, files=parts))  # type: ignore[arg-type]
        run = answer.json()["run_id"]
        seen.runs.append(run)
        for _ in range(LOOKS):
            begun = time.monotonic()
            state = _right(await ask.get(f"{_ROUTE}/{run}/status"))
            seen.looks.append(time.monotonic() - begun)
            if state.json()["state"] == "COMPLETE":
                seen.ended.add(run)
            await asyncio.sleep(PAUSE)
        over = time.monotonic() > end


def _right(answer: httpx.Response) -> httpx.Response:
    if answer.status_code != 200:
        raise Failed(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer
