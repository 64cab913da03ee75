"""Workers that are told to end, or killed: what they ran goes to others, and nothing of it is left."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
import redis
from celery import Celery

from celeriac.journal.tables import Record
from queues.ledger import overview
from tests.acceptance.commands import HANG, Desk
from tests.acceptance.workers import Site, processes, until

#: Says in a file that it has started, and waits for another; SIGTERM does not end it. Its last word finds it.
STUBBORN = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
arguments: ["trap : TERM; echo $$ >> $1; until [ -e $2 ]; do sleep 0.05; done; echo done > out.txt", sh]
inputs:
  started: {type: string, inputBinding: {position: 1}}
  gate: {type: string, inputBinding: {position: 2}}
  word: {type: string, inputBinding: {position: 3}}
outputs: {out: {type: File, outputBinding: {glob: out.txt}}}
"""
CPUS = os.cpu_count() or 1


def broker(redis_url: str) -> str:
    """Return the URL of an empty Redis database."""
    url = redis_url.removesuffix("/0") + "/12"
    with closing(redis.Redis.from_url(url)) as server:
        server.flushdb()
    return url


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> Iterator[Site]:
    # a lease that never runs out: what goes on does so because somebody was told
    settings = {
        "BROKER_URL": broker(redis_url), "DRAIN": "600", "LEASE": "3600", "HEARTBEAT": "60",
        "SCAN_INTERVAL": "1",
    }  # fmt: skip
    made = Site(Desk(tmp_path, {f"CELERIAC_{key}": value for key, value in settings.items()}))
    made.write(stubborn=STUBBORN)
    yield made
    made.show_logs()


def stubborn(site: Site, started: Path, gate: Path, word: str) -> str:
    """Submit a step that says in one file that it has started, and waits for another."""
    return site.submit("stubborn.cwl", "--started", str(started), "--gate", str(gate), "--word", word)


class Step:
    """A run of one stubborn step."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.word = secrets.token_hex(8)
        self.started, self.gate = (site.desk.directory / f"{name}-{self.word}" for name in ("started", "gate"))
        self.run = stubborn(site, self.started, self.gate, self.word)
        self.until_attempt(1)

    def until_attempt(self, number: int) -> None:
        """Wait until so many attempts have started their tool."""
        until(lambda: self.started.exists() and len(self.started.read_text().split()) == number, f"no attempt {number}")

    def attempts(self) -> list[tuple[int, str, str | None]]:
        return [(a.number, a.state, a.outcome) for a in self.site.attempts(self.run)]

    def ends_well(self) -> Record:
        self.gate.touch()
        row = self.site.ended(self.run)
        assert row.state == "SUCCESS"
        assert not processes(self.word)
        return row


@contextmanager
def _one(site: Site, *options: str) -> Iterator[Popen[bytes]]:
    with site.worker("one", "-Q", "default", *options) as worker:
        yield worker


def _said(site: Site, words: str, worker: str = "one") -> bool:
    return words in (site.desk.directory / f"worker-{worker}.log").read_text(errors="replace")


def test_what_ends_in_time_is_waited_for(site: Site) -> None:
    with _one(site) as worker:
        step = Step(site)
        worker.terminate()
        until(lambda: _said(site, "1 step runs: they have 600 s"), "it says nothing")
        step.gate.touch()
        assert worker.wait(HANG) == 0
    assert step.attempts()[0][2] == "success"
    with site.worker("two", "-Q", "default"):
        step.ends_well()
    assert step.attempts() == [(1, "SETTLED", "success")]


@pytest.mark.parametrize(
    ("signals", "drain"),
    [
        ([signal.SIGTERM], "1"),
        ([signal.SIGQUIT], "600"),
        ([signal.SIGINT, signal.SIGINT], "600"),
    ],
    ids=["TERM", "QUIT", "INT INT"],
)
def test_what_does_not_is_stopped_and_handed_back(site: Site, signals: list[signal.Signals], drain: str) -> None:
    site.desk.env["CELERIAC_DRAIN"] = drain  # type: ignore[index]
    with _one(site) as worker:
        step = Step(site)
        with site.worker("two", "-Q", "default"):
            for number in signals:
                worker.send_signal(number)
                until(lambda: _said(site, "this worker ends"), "it says nothing")
            assert worker.wait(HANG) in (0, 1)
            step.until_attempt(2)
            assert len(processes(step.word)) == 1, "what the first one ran is gone"
            step.ends_well()
    assert step.attempts() == [(1, "SETTLED", "handedBack"), (2, "SETTLED", "success")]
    assert "one@" in site.attempts(step.run)[0].error["message"]
    assert _said(site, "they are stopped now and handed back")


def test_a_second_quit_is_celery_s_cold_end(site: Site) -> None:
    with _one(site) as worker:
        step = Step(site)
        worker.send_signal(signal.SIGQUIT)
        until(lambda: _said(site, "this worker ends"), "the first is not heard")  # of two at once it may hear one
        worker.send_signal(signal.SIGQUIT)
        assert worker.wait(HANG) != 0
        assert _said(site, "Cold shutdown")
        until(lambda: not processes(step.word), "its tool goes on")


def test_a_step_that_waits_for_a_slot_goes_to_another_worker_at_once(site: Site) -> None:
    with site.worker("two", "-Q", "default"):
        pair = [Step(site)] + [Step(site) for _ in range(CPUS - 1)]
        with _one(site) as worker:
            waiting = stubborn(site, site.desk.directory / "late", Path("/"), "w")
            until(lambda: any(line.waiting for line in overview(site.settings.slots_directory)), "nobody waits")
            worker.terminate()
            assert worker.wait(HANG) == 0
        for step in pair:
            step.ends_well()
        assert site.ended(waiting).state == "SUCCESS"
    assert [a.number for a in site.attempts(waiting)] == [1]


def test_a_shutdown_by_remote_control_drains_too(site: Site) -> None:
    site.desk.env["CELERIAC_DRAIN"] = "1"  # type: ignore[index]
    with _one(site) as worker:
        step = Step(site)
        with site.worker("two", "-Q", "default"):
            with Celery("remote", broker=site.settings.worker_broker, set_as_current=False) as app:
                app.control.shutdown(destination=[f"one@{socket.gethostname()}"])
            assert worker.wait(HANG) == 0
            step.until_attempt(2)
            step.ends_well()


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_other_pools_end_in_order_too(site: Site, pool: str) -> None:
    site.desk.env["CELERIAC_DRAIN"] = "1"  # type: ignore[index]
    with _one(site, "--pool", pool) as worker, site.worker("control", "-Q", "celeriac"):
        step = Step(site)
        worker.terminate()
        assert worker.wait(HANG) == 0
        until(lambda: step.attempts()[0][2] == "handedBack", "it is not handed back")
    with site.worker("two", "-Q", "default"):
        step.until_attempt(2)
        step.ends_well()


def test_the_children_of_a_killed_main_hand_back_what_they_run(site: Site) -> None:
    with _one(site) as worker:
        step = Step(site)
        children = psutil.Process(worker.pid).children()
        with site.worker("two", "-Q", "default"):
            worker.kill()
            step.until_attempt(2)
            assert len(processes(step.word)) == 1
            step.ends_well()
        gone, left = psutil.wait_procs(children, timeout=HANG)
        assert not left, "idle ones too"
    assert step.attempts() == [(1, "SETTLED", "handedBack"), (2, "SETTLED", "success")]


def test_the_step_of_a_killed_child_need_not_wait_for_its_lease(site: Site) -> None:
    with _one(site):
        step = Step(site)
        tool = psutil.Process(int(step.started.read_text()))
        psutil.Process(tool.ppid()).kill()
        step.until_attempt(2)
        assert len(processes(step.word)) == 1, "what the dead one left is ended first"
        step.ends_well()
    assert step.attempts() == [(1, "LOST", None), (2, "SETTLED", "success")]
