"""How `celeriac api` answers while many clients submit and poll, and workers work: the seconds of a look at a state."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
_FORM = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": "cat.cwl"}


@dataclass
class _Seen:
    """What the clients of one round saw."""

    runs: list[str] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)  # seconds
    ended: int = 0  # runs, by the end of the round


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
        "runs ended": seen.ended,
    }


def _round(site: Cluster, url: str, count: int, seconds: float) -> _Seen:
    """Have clients submit and look for so long. Raises :class:`Failed` for any error, and for a run that is lost."""
    seen = _Seen()
    try:
        asyncio.run(_clients(url, count, seen, seconds))
    except* httpx.HTTPError as errors:
        raise Failed(f"a client was not answered: {errors.exceptions[0]!r}") from errors
    known = site.runs()
    states = [known.get(run) for run in seen.runs]
    if lost := states.count(None):
        raise Failed(f"{lost} of {len(seen.runs)} runs that were taken are not in the journal")
    seen.ended = states.count("SUCCESS")
    if not seen.ended:
        raise Failed("no run has ended: the workers did not work meanwhile")
    return seen


async def _clients(url: str, count: int, seen: _Seen, seconds: float) -> None:
    # Each has a pool of its own: one for all goes through all its connections at every request. To make a context
    # of TLS, which is not used here, would take longer than to be answered.
    context = ssl.create_default_context()
    async with AsyncExitStack() as stack:
        made = [httpx.AsyncClient(base_url=url, timeout=100, verify=context) for _ in range(count)]
        clients = [await stack.enter_async_context(client) for client in made]
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(_client(client, seen, end))


async def _client(ask: httpx.AsyncClient, seen: _Seen, end: float) -> None:
    over = False
    while not over:
        answer = _right(await ask.post(_ROUTE, files=_parts()))
        run = answer.json()["run_id"]
        seen.runs.append(run)
        for _ in range(LOOKS):
            begun = time.monotonic()
            _right(await ask.get(f"{_ROUTE}/{run}/status"))
            seen.looks.append(time.monotonic() - begun)
            await asyncio.sleep(PAUSE)
        over = time.monotonic() > end


def _parts() -> Any:
    """Return a request for a run whose input is new: nothing of it was done before."""
    file = {"class": "File", "basename": "x", "contents": secrets.token_hex(8)}
    fields = {**_FORM, "workflow_params": json.dumps({"file": file})}
    return [("workflow_attachment", ("cat.cwl", _TOOL.encode())), *((name, (None, fields[name])) for name in fields)]


def _right(answer: httpx.Response) -> httpx.Response:
    if answer.status_code != 200:
        raise Failed(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer
