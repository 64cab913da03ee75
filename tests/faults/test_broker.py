"""The broker dies, halts, forgets, is full, doubles and loses messages: the journal knows better."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGCONT, SIGSTOP

import pytest
from redis import Redis

from tests.faults import servers
from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.tools import tool
from tests.faults.workflow import Reference


@contextmanager
def _client(site: Site) -> Iterator[Redis]:
    with Redis.from_url(site.broker.url) as client:
        yield client


# --- Redis ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keeps", [pytest.param(False, marks=pytest.mark.ci), True], ids=["keeps nothing", "keeps all"]
)
@pytest.mark.fault("broker", "Redis SIGKILLed and started again")
def test_redis_is_killed(make_site: MakeSite, fault: Fault, keeps: bool) -> None:
    site, what = make_site("one", "two", broker=servers.redis(keeps=keeps)), Reference(8, 0.6)
    run = site.submit(what)
    for done in (0, 2):
        site.done(run, done)
        site.running(run)
        site.broker.kill()
        fault.injected()
        time.sleep(2)
        site.broker.start()
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "Redis SIGSTOPped for 70 s")
def test_redis_stands_still(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two"), Reference(8, 1.0)
    run = site.submit(what)
    site.done(run, 1)
    site.broker.send(SIGSTOP)
    fault.injected()
    time.sleep(70)
    site.broker.send(SIGCONT)
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "FLUSHALL")
def test_redis_forgets(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two"), Reference(8, 0.5)
    run = site.submit(what)
    with _client(site) as client:
        for done in (0, 2, 5):
            site.done(run, done)
            client.flushall()
            fault.injected()
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "Redis full (maxmemory) for 10 s")
def test_redis_is_full(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one", "two"), Reference(8, 0.5)
    run = site.submit(what)
    site.done(run, 1)
    with _client(site) as client:
        client.config_set("maxmemory", "1")
        fault.injected()
        time.sleep(10)
        client.config_set("maxmemory", "0")
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "all waiting messages doubled")
def test_messages_are_doubled(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one"), Reference(40, 0.2)
    run = site.submit(what)
    with _client(site) as client:
        for _ in range(3):
            for key, messages in until(lambda: servers.waiting(client), "nothing waits", pause=0.01).items():
                client.rpush(key, *messages)
            fault.injected()
            time.sleep(1)
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "all waiting messages deleted")
def test_messages_are_deleted(make_site: MakeSite, fault: Fault) -> None:
    site, what = make_site("one"), Reference(40, 0.2)
    run = site.submit(what)
    with _client(site) as client:
        for _ in range(2):
            client.delete(*until(lambda: servers.waiting(client), "nothing waits", pause=0.01))
            fault.injected()
            time.sleep(2)
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "FLUSHALL of messages that have waited long")
def test_redis_forgets_what_waited_long(make_site: MakeSite, fault: Fault) -> None:
    """P4: what is lost is found within a lease and a scan, however long it had waited for its turn."""
    site, what = make_site("one"), Reference(8, 0.2, containers=False)
    gate = site.desk.directory / "gate"
    wait = {**tool(f"until [ -e {gate} ]; do sleep 0.1; done", containers=False)}
    wait["requirements"] = {"ResourceRequirement": {"coresMin": 1, "ramMin": 64}}
    first = [site.submit_tool(wait, {}, "--no-container") for _ in range(2)]
    for run in first:
        site.running(run)
    run = site.submit(what)
    until(lambda: site.view.attempts(run), "nothing waits")
    time.sleep(8 * site.settings.lease)
    with _client(site) as client:
        client.flushall()
    fault.injected()
    gate.touch()
    site.done(run, 1, patience=site.settings.lease + site.settings.scan_interval + 10)
    kept(site, run, what, fault)


# --- RabbitMQ ---------------------------------------------------------------------------------------


@pytest.mark.fault("broker", "RabbitMQ")
@pytest.mark.parametrize("how", ["stopped and started again", "SIGKILLed and started again"])
def test_rabbitmq_is_away(make_site: MakeSite, fault: Fault, how: str) -> None:
    site, what = make_site("one", "two", broker=servers.rabbitmq()), Reference(8, 1.0)
    site.supervised = True
    run = site.submit(what)
    for done in (0, 3):
        site.done(run, done)
        site.running(run)
        site.broker.stop() if how.startswith("stopped") else site.broker.kill()
        fault.injected()
        time.sleep(5)
        site.broker.start()
    kept(site, run, what, fault)


@pytest.mark.fault("broker", "RabbitMQ consumer timeout shorter than a step")
def test_rabbitmq_loses_patience(make_site: MakeSite, fault: Fault) -> None:
    impatient = servers.rabbitmq("consumer_timeout = 5000\n", "-rabbit channel_tick_interval 1000")
    site, what = make_site("one", "two", broker=impatient), Reference(8, 12.0)
    site.supervised = True
    run = site.submit(what)
    fault.injected()
    kept(site, run, what, fault, patience=300)
    assert site.was_said("PRECONDITION_FAILED"), "the server lost no patience"
