"""Several engines go on with one run at the same moment: what is done is done once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from signal import SIGKILL

import pytest
from celery import Celery

from celeriac import names
from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.workflow import Reference


@pytest.mark.ci
@pytest.mark.fault("process", "many scans and advances of one run at once")
def test_many_look_after_one_run(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two"), Reference(8, 0.3)
    run = site.submit(what)
    settings = site.settings
    with closing(Celery("faults", broker=settings.worker_broker, set_as_current=False)) as app:
        while not site.view.run(run).ended:
            for _ in range(2):
                app.send_task(names.ADVANCE, (run,), queue=names.CONTROL_QUEUE, ignore_result=True)
                app.send_task(names.SWEEP, queue=names.CONTROL_QUEUE, ignore_result=True)
            fault.injected()
            time.sleep(0.4)
    kept(site, run, what, fault)


@pytest.mark.fault("process", "two commands resume one run at once")
def test_two_commands_resume_one_run(make_site: MakeSite, fault: Fault) -> None:
    """Its own process has died in the middle: without workers, two commands go on with it."""
    site, what = make_site(), Reference(8, 0.5)
    document, job = site.write("reference", what.document), site.write("job", what.job)
    with site.embedded.start("run", "--quiet", str(document), str(job)) as command:
        run = until(lambda: site.view.runs(), "the run does not begin")[0]
        site.done(run, 2)
        command.send_signal(SIGKILL)
        fault.injected()
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: site.embedded("resume", run, code=None), range(2)))
    assert 0 in {one.returncode for one in both}, [one.stderr for one in both]
    kept(site, run, what, fault)
