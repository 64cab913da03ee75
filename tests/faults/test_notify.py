"""Listeners die and hang, and with them the worker and the broker: every notice arrives, in order, once per key."""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from celeriac.journal import notices
from celeriac.journal.database import Database
from celeriac.states import RunState
from tests.faults import servers
from tests.faults.checks import kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.workflow import Reference
from tests.integration.listener import FORGET_ANSWER, HANG, Deed, Listener, listening

#: Seconds: a claim of a dead process is over 15 s after its post would have been.
TIMES = {"NOTIFY_TIMEOUT": "2", "NOTIFY_BACKOFF": "0.2", "NOTIFY_LONGEST": "2"}


class Ear:
    """A listener that is there or not, and what is known of the notices that it is to get."""

    def __init__(self, directory: Path) -> None:
        self.listener = Listener()
        self._stack = ExitStack()
        self._key = rsa.generate_private_key(65537, 2048)
        path = directory / f"key-{secrets.token_hex(4)}.pem"
        path.write_bytes(self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.start()
        self.settings = {**TIMES, "NOTIFY_URL": self.listener.url, "NOTIFY_KEY": str(path)}

    def start(self) -> None:
        """Listen, at the same port as before."""
        self._stack.enter_context(listening(self.listener))

    def stop(self) -> None:
        """Be gone."""
        self._stack.close()

    def heard(self) -> list[tuple[str, str, Any]]:
        """Return route, key and payload of what was taken, in its order; fails at what is not signed."""
        return [
            (post.path.rpartition("/")[2], post.key, jwt.decode(post.payload, self._key.public_key(), ["RS256"]))
            for post in self.listener.taken
        ]


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    made = Ear(tmp_path)
    yield made
    made.stop()


def left(site: Site) -> list[Any]:
    """Return what the journal has still to tell."""
    database = Database(site.settings.journal)
    try:
        with database.read() as connection:
            return list(notices.listing(connection))
    finally:
        database.close()


def all_heard(site: Site, ear: Ear, run: str) -> None:
    """Check that a run that succeeded was told whole, in order, with no notice twice."""
    until(lambda: not left(site), f"not all has arrived: {left(site)}\n{site.said()}")
    found = [(route, payload) for route, _, payload in ear.heard() if payload["run_id"] == run]
    states: dict[str, list[str]] = defaultdict(list)
    for route, payload in found:
        if route == "status":
            states[payload["task_id"]].append(payload["state"])
    for task, told in states.items():
        assert (told[0], told[-1]) == ("running", "success"), f"{task}: {told}"
        assert told[1:-1] == ["up_for_retry", "running"] * (len(told[1:-1]) // 2), f"{task}: {told}"
    jobs = {node.path for node in site.view.nodes(run) if node.path and "[" not in node.path}
    assert set(states) == jobs
    numbers = [payload["progress"] for route, payload in found if route == "progress"]
    assert numbers == sorted(numbers) and numbers.count(100) == 1
    assert found[-1][0] == "results"
    assert found[-1][1]["results"] == json.loads(json.dumps(site.view.run(run).outputs))


@pytest.mark.parametrize("broker", [pytest.param(None, id="redis", marks=pytest.mark.ci), "rabbitmq"])
@pytest.mark.fault("listener", "gone from a run's midst till after its end; worker and broker killed meanwhile")
def test_a_listener_is_gone(make_site: MakeSite, fault: Fault, ear: Ear, broker: str | None) -> None:
    own = {"broker": servers.rabbitmq()} if broker else {}
    site, what = make_site("one", **own, **ear.settings), Reference(8, 0.6, containers=False)
    run = site.submit(what)
    site.done(run, 1)
    until(ear.heard, "nothing is told")
    ear.stop()
    fault.injected()
    site.done(run, 2)
    site.running(run)
    worker = site.workers[0]
    worker.send_all(SIGKILL)
    site.broker.kill()
    fault.injected()
    time.sleep(1)
    site.broker.start()
    worker.start()
    kept(site, run, what, fault)  # it ends without its listener
    waiting = [row.key for row in left(site)]
    assert waiting
    before = {key for _, key, _ in ear.heard()}
    ear.start()
    all_heard(site, ear, run)
    assert [key for _, key, _ in ear.heard() if key not in before] == [key for key in waiting if key not in before]


@pytest.mark.slow
@pytest.mark.fault("listener", "gone for a minute; worker and broker killed meanwhile")
def test_a_listener_is_gone_for_a_minute(make_site: MakeSite, fault: Fault, ear: Ear) -> None:
    site, what = make_site("one", "two", **ear.settings), Reference(12, 2.0, containers=False)
    run = site.submit(what)
    site.done(run, 1)
    ear.stop()
    fault.injected()
    began = time.monotonic()
    for done in (2, 4):
        site.done(run, done)
        site.running(run)
        site.workers[0].send_all(SIGKILL)
        site.broker.kill()
        fault.injected()
        time.sleep(2)
        site.broker.start()
        site.workers[0].start()
    kept(site, run, what, fault)
    time.sleep(max(0.0, 60 - (time.monotonic() - began)))
    waiting = [row.key for row in left(site)]
    ear.start()
    all_heard(site, ear, run)
    assert [key for _, key, _ in ear.heard()][-len(waiting) :] == waiting


@pytest.mark.fault("listener", "takes notices, and cuts the connection instead of an answer")
def test_answers_are_lost(make_site: MakeSite, fault: Fault, ear: Ear) -> None:
    """Each notice comes at least twice, under one key."""
    seen: dict[str, int] = defaultdict(int)

    def deed(path: str) -> Deed:
        seen[path] += 1
        return FORGET_ANSWER if seen[path] % 2 else 200

    ear.listener.deed = deed
    site, what = make_site("one", **ear.settings), Reference(8, 0.2, containers=False)
    run = site.submit(what)
    fault.injected()
    kept(site, run, what, fault)
    all_heard(site, ear, run)
    assert len(ear.listener.posts) > len(ear.listener.taken)


@pytest.mark.fault("listener", "hangs, and the worker is killed with a notice in its hands")
def test_a_worker_dies_with_a_notice_in_its_hands(make_site: MakeSite, fault: Fault, ear: Ear) -> None:
    ear.listener.deed = lambda path: HANG
    site, what = make_site("one", **{**ear.settings, "NOTIFY_TIMEOUT": "5"}), Reference(8, 0.4, containers=False)
    run = site.submit(what)
    until(lambda: ear.listener.posts, "nobody has it in hand")
    site.workers[0].send_all(SIGKILL)
    fault.injected()
    site.workers[0].start()
    kept(site, run, what, fault)
    assert site.view.run(run).state == RunState.SUCCESS
    ear.listener.deed = lambda path: 200
    ear.listener.released.set()
    all_heard(site, ear, run)
    first = ear.listener.posts[0].key
    assert first in {post.key for post in ear.listener.taken}
