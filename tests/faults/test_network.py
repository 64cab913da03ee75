"""The broker is there, and no packet gets through to it: nobody is refused, nobody is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy.engine import make_url

from tests.faults import servers
from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.network import Network, network
from tests.faults.report import Fault
from tests.faults.workflow import Reference


@pytest.fixture
def apart() -> Iterator[Network]:
    """A network for workers; to be asked for before the site, so that it outlives them."""
    with ExitStack() as stack:
        yield stack.enter_context(network())


@pytest.mark.fault("network", "the broker's port dropped, from all workers")
@pytest.mark.parametrize("seconds", [pytest.param(20, id="20 s", marks=pytest.mark.ci), pytest.param(120, id="2 min")])
def test_the_broker_can_t_be_reached(apart: Network, make_site: MakeSite, fault: Fault, seconds: int) -> None:
    _cut_off(apart, make_site, fault, seconds, near=())


@pytest.mark.fault("network", "the broker's port dropped, from one worker for 2 min")
def test_the_broker_can_t_be_reached_by_one(apart: Network, make_site: MakeSite, fault: Fault) -> None:
    _cut_off(apart, make_site, fault, 120, near=("near",))


def _cut_off(apart: Network, make_site: MakeSite, fault: Fault, seconds: int, near: tuple[str, ...]) -> None:
    """Have two workers, those that are not ``near`` in a network that loses its way to the broker."""
    site, what = make_site(*near, broker=servers.redis(also=apart.host)), Reference(8, 2.0)
    url = make_url(site.broker.url)
    there = url.set(host=apart.host).render_as_string(hide_password=False)
    names = ("far", "further")[len(near) :]
    far = [site.worker(name, wrapper=apart.words(), wait=False, BROKER_URL=there) for name in names]
    for worker in far:
        worker.ready()
    run = site.submit(what)
    site.done(run, 1)
    site.running(run)
    assert url.port is not None
    apart.drop(url.port)
    fault.injected()
    time.sleep(seconds)
    assert near or not site.view.run(run).ended, "the broker was not needed"
    apart.mend()
    kept(site, run, what, fault)
    assert all(worker.is_alive for worker in far), site.said()
