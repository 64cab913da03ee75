"""A worker after many steps is as it was after few: memory, files, threads, containers, temporary files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.remains import containers
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.workflow import Reference

#: Steps of one run, and of all runs in CI and by hand.
PORTION, IN_CI, BY_HAND = 500, 500, 10_000


@dataclass(frozen=True)
class Size:
    """What a worker has."""

    memory: int  # bytes of the main process and its children
    files: int  # open ones
    threads: int
    containers: int
    temporary: int  # files


@pytest.mark.ci
@pytest.mark.timeout(7200)
@pytest.mark.fault("soak", "a worker after many steps")
def test_a_worker_does_not_grow(
    make_site: MakeSite, fault: Fault, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    steps = IN_CI if request.config.getoption("markexpr") == "ci" else BY_HAND
    site, temporary = make_site(), tmp_path / "temporary"
    temporary.mkdir()
    site.worker("one", "-Q", "default", "-c", "2", wrapper=("env", f"TMPDIR={temporary}"))
    for what in (Reference(50, 0.0, containers=False), Reference(50, 0.0)):
        kept(site, site.submit(what), what, fault)
    before = _size(site, temporary)
    for _ in range(steps // PORTION):
        what = Reference(PORTION, 0.0, containers=False)
        kept(site, site.submit(what), what, fault, patience=600)
    what = Reference(50, 0.0)
    kept(site, site.submit(what), what, fault)
    after = _size(site, temporary)
    fault.outcome = f"yes; {before.memory / 2**20:.0f} MiB, later {after.memory / 2**20:.0f}"
    assert after.memory <= 1.3 * before.memory
    # each process may have opened one more connection to the journal and to the engine: their pools are bounded
    more = 2 * (1 + len(site.workers[0].children))
    assert after.threads <= before.threads and after.files <= before.files + more, (before, after)
    assert (after.containers, after.temporary) == (before.containers, before.temporary)


def _size(site: Site, temporary: Path) -> Size:
    """Measure when nothing is at work any more."""
    worker = site.workers[0]
    processes = [psutil.Process(worker.pid), *worker.children]
    threads = until(lambda: _settled(site, processes), "its threads come and go", pause=0.5)
    return Size(
        sum(process.memory_info().rss for process in processes),
        sum(process.num_fds() for process in processes),
        threads,
        len(containers(site.docker, site.view.runs())),
        len(list(temporary.rglob("*"))),
    )


def _settled(site: Site, processes: list[psutil.Process]) -> int:
    """Return the number of threads once those of the leases have ended: they live as long as a lease after a step."""
    first = sum(process.num_threads() for process in processes)
    time.sleep(site.settings.lease + 2)
    return first if first == sum(process.num_threads() for process in processes) else 0
