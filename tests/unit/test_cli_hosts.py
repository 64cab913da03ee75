"""Hosts and what is short of them, in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from celeriac.cli.queues.hosts import HEADS, Host, Site, Worker, data, rows, warnings
from celeriac.resources import CONTROL_QUEUE, Budget, QueueLimits

DEFAULT = QueueLimits("default", cpus=1, ram=1024)
HUGE = QueueLimits("huge", cpus=64, ram=1024)


def depth(waiting: int | None, workers: int) -> Any:
    """Return what the broker tells of a queue."""
    return SimpleNamespace(waiting=waiting, workers=workers)


def site(**serves: int) -> Site:
    """Return a site of one host with one worker that serves some queues."""
    worker = Worker("celery@a", 2, serves or {"default": 2}, seen=95.0)
    host = Host("a", Budget(2, 4096), [worker], {"default": 1}, {"default": 2, "huge": 0})
    return Site(100.0, [host], {"default": 1})


def test_a_host_stands_in_the_line_of_its_first_worker() -> None:
    one = site().hosts[0]
    two = Host(one.name, one.budget, [*one.workers, Worker("b@a", 1, {}, 100.0)], one.running, one.holds)
    first, second = rows(Site(100.0, [two], {}))
    assert dict(zip(HEADS, first, strict=True)) == {
        "HOST": "a", "CPUS": "2", "RAM": "4096 MiB", "GPUS": "", "HOLDS": "default 2", "RUNNING": "default 1",
        "WORKER": "celery@a", "SERVES": "default", "SLOTS": "2", "SEEN": "5.0s ago",
    }  # fmt: skip
    assert second[:6] == ("",) * 6 and second[6] == "b@a"
    assert data(site())[0]["workers"] == [
        {"name": "celery@a", "slots": 2, "queues": {"default": 2}, "seen": "1970-01-01T00:01:35.000Z"}
    ]


def test_steps_that_nobody_takes() -> None:
    assert warnings([DEFAULT], {"default": depth(3, 0)}, None) == [
        "3 steps wait in queue default, which no worker serves; start one: `celery worker -Q default`"
    ]
    assert warnings([DEFAULT], {"default": depth(3, 1)}, None) == []
    assert warnings([DEFAULT], {"default": depth(0, 0)}, None) == []
    assert warnings([DEFAULT], {"default": depth(None, 0)}, None) == []
    assert "no run goes on" in warnings([], {CONTROL_QUEUE: depth(1, 0)}, None)[0]


def test_a_queue_that_no_host_holds() -> None:
    (text,) = warnings([DEFAULT, HUGE], None, site())
    assert text == "no worker's host holds even one step of queue huge (64 CPUs, 1024 MiB): a has 2 CPUs, 4096 MiB"
    assert warnings([HUGE], None, Site(0.0, [], {})) == [], "nobody has said how large a host is"
    assert warnings([HUGE], None, site(huge=0)) == [], "its worker was told to oversubscribe"
