"""Tools that print much: a worker passes it on, and holds none of it."""

from __future__ import annotations

import time

import pytest

from celeriac.states import RunState
from tests.faults.both import both
from tests.faults.checks import ended_as
from tests.faults.conftest import MakeSite
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.tools import submit, tool


@pytest.mark.fault("process", "1 GB of standard output")
@both()
def test_much_output(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    """The worker's memory stays as it is, and nothing of it is missing."""
    site, size = make_site("one"), 2**30
    stdout = {"all": {"type": "File", "outputBinding": {"glob": "much"}}}
    much = {**tool(f"head -c {size} /dev/zero", containers=containers, outputs=stdout), "stdout": "much"}
    warm = submit(site, tool("sleep 1", containers=containers))  # long enough to be seen
    site.ended(warm)
    before = _memory(site)
    run = submit(site, much)
    most = before
    while not site.view.run(run).ended:
        most = max(most, _memory(site))
        time.sleep(0.1)
    fault.injected()
    row = ended_as(site, run, RunState.SUCCESS, "None", fault, patience=300)
    assert row.outputs["all"]["size"] == size
    assert row.outputs["all"]["checksum"] == "sha1$2a492f15396a6768bcbca016993f4b4c8b0b5307"
    assert most - before < 64 * 2**20, f"a process grew by {(most - before) / 2**20:.0f} MiB"


def _memory(site: Site) -> int:
    """Return the bytes that the largest process of the workers has for itself."""
    return max(
        process.memory_info().rss for worker in site.workers for process in worker.children if process.is_running()
    )
