"""Whatever happens to messages and workers: the same outputs, one success a node, no attempt run twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.engine.submit import Submission
from celeriac.errors import BrokerUnavailable
from celeriac.journal import attempts as tries
from tests.unit.engine_documents import EVERYTHING, everything, write
from tests.unit.engine_harness import World, world

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
HANG = 60.0
#: With it, not fair: windows that go by the clock would make what is drawn differ from time to time.
NARROW: dict[str, Any] = {"scatter_window": 4, "scatter_width": 2}


def _ended_well(cluster: World, run: str) -> None:
    row = cluster.run(run)
    assert row.state == "SUCCESS", cluster.table(run)
    assert row.outputs == EVERYTHING
    assert set(cluster.nodes(run).values()) == {"SUCCESS", "SKIPPED"}
    made = cluster.attempts(run)
    good = Counter(a.path for a in made if a.state == "SETTLED" and a.outcome == "success")
    assert good == {a.path: 1 for a in made}, "each job has exactly one settled success"
    assert {a.state for a in made} <= {"SETTLED", "LOST"}
    assert all(count == 1 for count in Counter(cluster.started).values()), "an attempt ran twice"
    assert cluster.ended.count(run) == 1, "its end is told once"


class OrdersContract:
    """A subclass gives ``cluster``: two workers on one journal, with :data:`NARROW` scatters."""

    @pytest.fixture(scope="class")
    @classmethod
    def submission(cls, cluster: World, tmp_path_factory: pytest.TempPathFactory) -> Submission:
        """The workflow with all forms, loaded once."""
        document = write(tmp_path_factory.mktemp("documents"), everything())
        return cluster.check(document, {"n": [1, 2, 3]})

    @given(data=st.data())
    @FEW
    def test_any_order_of_messages_doubled_delayed_or_lost_gives_the_same_end(
        self, cluster: World, submission: Submission, data: st.DataObject
    ) -> None:
        del cluster.pending[:]
        cluster.go_on = data.draw(st.booleans(), label="go on")
        run = cluster.submit(submission)
        troubles = 0
        while not cluster.over(run):
            if not cluster.pending or troubles > 30:
                cluster.repair(run)
                break
            message = cluster.take(data.draw(st.integers(0, len(cluster.pending) - 1), label="which"))
            fate = data.draw(st.sampled_from(["deliver"] * 4 + ["double", "lose", "die", "silence"]), label="fate")
            worker = data.draw(st.sampled_from(cluster.workers), label="worker")
            troubles += fate != "deliver"
            if fate == "lose":
                continue
            if fate == "die" and message.kind == "execute":
                with cluster.engine.database.begin() as connection:
                    tries.claim(connection, [message.name], "a worker that dies", "host", 1.0)
                continue
            cluster.broker_is_down = fate == "silence"  # what follows is not sent
            with suppress(BrokerUnavailable):
                cluster.deliver(message, worker)
            cluster.broker_is_down = False
            if fate == "double":
                cluster.deliver(message, worker)
        _ended_well(cluster, run)

    def test_losing_every_message_once_only_delays(self, cluster: World, submission: Submission) -> None:
        del cluster.pending[:]
        run = cluster.submit(submission)
        for _ in range(60):
            del cluster.pending[:]  # the broker is flushed
            cluster.scan()
            cluster.drain()
            if cluster.over(run):
                break
        _ended_well(cluster, run)

    @pytest.mark.parametrize("seed", range(3))
    def test_parallel_workers_come_to_the_same_end(self, cluster: World, submission: Submission, seed: int) -> None:
        del cluster.pending[:]
        cluster.go_on = seed > 0
        run = cluster.submit(submission)
        patience = threading.BoundedSemaphore(400)  # a bound on a hang: so often there may be nothing to do

        def work(number: int) -> None:
            random, engine = Random(seed * 100 + number), cluster.workers[number % 2]
            while not cluster.over(run) and patience.acquire(blocking=False):
                try:
                    message = cluster.take(random.randrange(max(1, len(cluster.pending))))
                except IndexError:
                    time.sleep(0.002)
                    continue
                patience.release()
                cluster.deliver(message, engine)
                if random.random() < 0.2:
                    cluster.deliver(message, engine)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, number) for number in range(4)]:
                done.result(HANG)
        cluster.repair(run)  # a doubled part of a chord may have had its body come early
        _ended_well(cluster, run)

    def test_messages_hold_ids_only(self, cluster: World, submission: Submission) -> None:
        del cluster.pending[:]
        before = len(cluster.sent)
        run = cluster.submit(submission)
        cluster.drain()
        ids = {a.id for a in cluster.attempts(run)} | {a.batch for a in cluster.attempts(run)}
        ids |= {"default", "advanced"}  # queues
        known = {"attempt", "queue", "lane", "shadow", "batch", "attempts"}
        for _, kind, payload in cluster.sent[before:]:
            assert set(payload) <= known
            for key, value in payload.items():
                if key == "shadow":
                    assert value.startswith("wf.cwl") and "[" not in value
                elif key != "lane":
                    found = {word for pair in value for word in pair} if isinstance(value, list) else {value}
                    assert found <= ids, (kind, key, value)
            assert len(payload.get("attempts", ())) <= 2, "a chord is no wider than scatter_width"

    def test_no_more_items_are_under_way_than_the_window(self, cluster: World, submission: Submission) -> None:
        del cluster.pending[:]
        run = cluster.submit(submission)
        most: Counter[str] = Counter()
        while cluster.pending:
            cluster.deliver(cluster.take(-1))
            way = Counter(
                path.rpartition("[")[0]
                for path, state in cluster.nodes(run).items()
                if path.endswith("]") and state in ("READY", "QUEUED", "RUNNING")
            )
            most |= way
        cluster.repair(run)
        assert most["grid"] == 4, "nine items, four of them under way"


class TestSqlite(OrdersContract):
    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
        with world(tmp_path_factory.mktemp("home"), fair=False, **NARROW) as made:
            made.workers.append(made.worker())
            yield made
