"""What killing did in the system that Celeriac replaces, turned round: whatever is set or ended, its tools end too."""

from __future__ import annotations

from signal import SIGKILL, SIGTERM

import pytest

from celeriac.states import RunState
from tests.faults.both import both
from tests.faults.checks import ended_as, gone
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site, begun, execute
from tests.faults.workflow import Reference

#: All its items would take longer than any test.
LONG = 300.0


def _under_way(site: Site, containers: bool) -> tuple[str, list[str]]:
    """Have a run with steps at work; return it with their attempts."""
    run = site.submit(Reference(8, LONG, containers), "--on-error", "stop")
    attempts = [attempt.id for attempt in site.running(run)]
    until(lambda: begun(site, run), "the tool does not begin")
    return run, attempts


@pytest.mark.fault("by hand", "a step set failed in the database")
@both("processes")
def test_a_step_set_failed_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site = make_site("one")
    run, attempts = _under_way(site, containers)
    execute(site.settings.journal, f"UPDATE nodes SET state = 'FAILED' WHERE run_id = '{run}' AND path = 'first-0'")
    fault.injected()
    gone(site, attempts)
    ended_as(site, run, RunState.FAILED, "'first-0' was set FAILED in the database", fault)


@pytest.mark.fault("by hand", "a step cancelled by command")
@both()
def test_a_step_that_is_cancelled_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site = make_site("one")
    run, attempts = _under_way(site, containers)
    site.desk("cancel", run, "--step", "first-0")
    fault.injected()
    gone(site, attempts)
    ended_as(site, run, RunState.FAILED, "first-0", fault)


@pytest.mark.fault("by hand", "an attempt set canceled in the database")
@both()
def test_an_attempt_set_canceled_is_killed(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site = make_site("one")
    run, attempts = _under_way(site, containers)
    execute(site.settings.journal, f"UPDATE attempts SET state = 'CANCELED' WHERE run_id = '{run}'")
    fault.injected()
    gone(site, attempts)
    row = site.ended(run)
    assert row.state == RunState.FAILED and "CANCELED in the database" in str(row.error)
    fault.outcome = str(row.state)


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "SUCCESS", "CANCELING"])
@pytest.mark.fault("by hand", "a run's state set in the database")
def test_a_run_s_state_is_obeyed(make_site: MakeSite, fault: Fault, state: str) -> None:
    site = make_site("one")
    run, attempts = _under_way(site, containers=True)
    execute(site.settings.journal, f"UPDATE runs SET state = '{state}' WHERE id = '{run}'")
    fault.injected()
    gone(site, attempts)
    expected = RunState.CANCELED if state == "CANCELING" else RunState(state)
    ended_as(site, run, expected, "None" if state == "SUCCESS" else "", fault)


@pytest.mark.fault("by hand", "a run set failed in the database: all its steps are killed")
@both("containers")
def test_a_run_set_failed_kills_its_steps(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    site, what = make_site("one"), Reference(8, LONG, containers)
    document = {**what.document}
    document["steps"]["align"]["in"]["files"] = "seed"  # several steps at once
    run = site.submit_tool(document, what.job, *(() if containers else ("--no-container",)))
    attempts = [attempt.id for attempt in site.running(run, 2)]
    until(lambda: begun(site, run), "the tool does not begin")
    execute(site.settings.journal, f"UPDATE runs SET state = 'FAILED' WHERE id = '{run}'")
    fault.injected()
    gone(site, attempts)
    ended_as(site, run, RunState.FAILED, "was set FAILED in the database", fault)


@pytest.mark.fault("by hand", "the only worker terminated: no container survives")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "SIGKILL of all"])
def test_a_worker_is_terminated(make_site: MakeSite, fault: Fault, how: str) -> None:
    site = make_site("one", DRAIN="3")
    run, attempts = _under_way(site, containers=True)
    worker = site.workers[0]
    worker.send_all(SIGKILL) if how.endswith("all") else worker.send(SIGTERM if how == "SIGTERM" else SIGKILL)
    fault.injected()
    worker.wait()
    gone(site, attempts)
    site.desk("cancel", run)
    until(lambda: not site.view.running(run) or site.worker(f"late-{len(site.workers)}"), "nobody looks after it")
    fault.outcome = "killed"


@pytest.mark.fault("by hand", "the scheduler terminated: no container survives")
@both()
def test_the_scheduler_is_terminated(make_site: MakeSite, fault: Fault, containers: bool) -> None:
    """An embedded run is its own scheduler and worker."""
    site, what = make_site(), Reference(8, LONG, containers)
    words = () if containers else ("--no-container",)
    document, job = site.write("reference", what.document), site.write("job", what.job)
    with site.embedded.start("run", *words, str(document), str(job)) as command:
        run = until(lambda: site.view.runs(), "the run does not begin")[0]
        attempts = [attempt.id for attempt in site.running(run)]
        until(lambda: begun(site, run), "the tool does not begin")
        command.send_signal(SIGKILL)
        fault.injected()
        gone(site, attempts)
    fault.outcome = "killed"
