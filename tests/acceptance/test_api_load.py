"""Two hundred clients at once that submit and watch: no error, and whatever was answered is in the journal."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.acceptance.api import COPY, ROOT, Server, api_site, serving

CLIENTS = 200
SECONDS = 15.0
PARAMS = '{"file": {"class": "File", "contents": "x", "basename": "x"}}'
FORM = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": "copy.cwl", "workflow_params": PARAMS}


@dataclass
class Seen:
    """What the clients saw."""

    runs: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    took: list[float] = field(default_factory=list)  # seconds of each look at a state


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp("load")
    site = api_site(directory, redis_url.removesuffix("/0") + "/15")
    with site.worker("one", "-c", "2"), serving(site) as found:
        yield found
    site.show_logs()


async def client(ask: httpx.AsyncClient, server: Server, seen: Seen, end: float) -> None:
    files = [
        ("workflow_attachment", ("copy.cwl", COPY.encode())),
        *((name, (None, text)) for name, text in FORM.items()),
    ]
    over = False
    while not over:
        over = time.monotonic() > end
        answer = await ask.post(f"{server.url}{ROOT}/runs", files=files)  # type: ignore[arg-type]
        if answer.status_code != 200:
            seen.wrong.append(answer.text)
            continue
        run = answer.json()["run_id"]
        seen.runs.append(run)
        for _ in range(5):
            begun = time.monotonic()
            status = await ask.get(f"{server.url}{ROOT}/runs/{run}/status")
            seen.took.append(time.monotonic() - begun)
            if status.status_code != 200:
                seen.wrong.append(status.text)
            elif status.json()["state"] == "COMPLETE":
                seen.ended.add(run)
            await asyncio.sleep(0.5)


async def clients(server: Server, seen: Seen) -> None:
    end = time.monotonic() + SECONDS
    context = ssl.create_default_context()  # made once: it takes longer than an answer
    async with AsyncExitStack() as stack:
        made = [httpx.AsyncClient(timeout=100, verify=context) for _ in range(CLIENTS)]
        found = [await stack.enter_async_context(one) for one in made]
        await asyncio.gather(*(client(one, server, seen, end) for one in found))


@pytest.mark.slow
def test_many_clients_at_once(server: Server) -> None:
    seen = Seen()
    asyncio.run(clients(server, seen))
    looks = sorted(seen.took)
    median, late = looks[len(looks) // 2], looks[-(len(looks) // 100) - 1]
    print(f"{len(seen.runs)} runs; {len(looks)} looks at states, p50 {median:.3f} s, p99 {late:.3f} s")
    assert seen.wrong == []
    assert seen.ended, "the workers worked meanwhile"
    assert len(seen.runs) == len(set(seen.runs)) >= CLIENTS
    assert set(seen.runs) <= {run["id"] for run in server.site.desk.json("list", "--limit", "1000000")}
