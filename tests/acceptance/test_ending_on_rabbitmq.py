"""Workers that end while RabbitMQ still has their messages: each is acknowledged once, nothing doubled or lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection

from queues.ledger import overview
from tests.acceptance.commands import HANG, Desk
from tests.acceptance.test_ending_workers import CPUS, STUBBORN, Step, stubborn
from tests.acceptance.workers import Site, until


@pytest.fixture
def site(rabbitmq_url: str, tmp_path: Path) -> Iterator[Site]:
    settings = {
        "BROKER_URL": rabbitmq_url, "DRAIN": "600", "LEASE": "3600", "HEARTBEAT": "60", "SCAN_INTERVAL": "1",
    }  # fmt: skip
    made = Site(Desk(tmp_path, {f"CELERIAC_{key}": value for key, value in settings.items()}))
    made.write(stubborn=STUBBORN)
    yield made
    made.show_logs()


def _left(url: str) -> dict[str, int]:
    """Return what nobody has acknowledged, once all workers have ended."""
    with Connection(url) as connection, connection.channel() as channel:
        return {
            queue: int(channel.queue_declare(queue, passive=True).message_count) for queue in ("default", "celeriac")
        }


def test_what_was_handed_back_is_acknowledged(site: Site, rabbitmq_url: str) -> None:
    with site.worker("one", "-Q", "default") as worker:
        step = Step(site)
        with site.worker("two", "-Q", "default"):
            worker.send_signal(signal.SIGQUIT)
            assert worker.wait(HANG) in (0, 1)
            step.until_attempt(2)
            step.ends_well()
    assert step.attempts() == [(1, "SETTLED", "handedBack"), (2, "SETTLED", "success")]
    assert _left(rabbitmq_url) == {"default": 0, "celeriac": 0}


def test_what_waited_for_a_slot_is_passed_on(site: Site, rabbitmq_url: str) -> None:
    with site.worker("two", "-Q", "default"):
        steps = [Step(site) for _ in range(CPUS)]
        with site.worker("one", "-Q", "default") as worker:
            waiting = stubborn(site, site.desk.directory / "late", Path("/"), "w")
            until(lambda: any(line.waiting for line in overview(site.settings.slots_directory)), "nobody waits")
            worker.terminate()
            assert worker.wait(HANG) == 0
        for step in steps:
            step.ends_well()
        assert site.ended(waiting).state == "SUCCESS"
    assert [a.number for a in site.attempts(waiting)] == [1]
    assert _left(rabbitmq_url) == {"default": 0, "celeriac": 0}
