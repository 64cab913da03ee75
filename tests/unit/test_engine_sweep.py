"""Containers of this host whose attempts are over are removed; others are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from celeriac.container.stub import StubRunner
from celeriac.engine.sweep import sweep
from celeriac.job.run import JobRunner
from celeriac.journal import attempts as tries
from celeriac.journal import leases
from celeriac.journal.tables import attempts
from celeriac.names import container_of
from celeriac.states import AttemptState
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import LEASE, World, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home") as made:
        yield made


@pytest.fixture
def engine_of_containers(cluster: World) -> StubRunner:
    stub = StubRunner()
    cluster.engine.jobs = JobRunner(lambda: stub, lambda: stub)
    return stub


@pytest.fixture
def attempt(cluster: World, tmp_path: Path, engine_of_containers: StubRunner) -> str:
    """An attempt with a container, claimed by a worker."""
    document = write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))
    run = cluster.start(document, {"x": 5})
    cluster.deliver(cluster.take())
    name: str = cluster.attempts(run)[0].id
    with cluster.engine.database.begin() as connection:
        tries.claim(connection, [name], "somebody", "host", LEASE)
    engine_of_containers.left = {name}
    return name


def _set(cluster: World, attempt: str, state: AttemptState) -> None:
    with cluster.engine.database.begin() as connection:
        connection.execute(update(attempts).where(attempts.c.id == attempt).values(state=state))


@pytest.mark.parametrize("state", sorted(AttemptState))
def test_it_goes_once_its_attempt_is_over(
    cluster: World, attempt: str, engine_of_containers: StubRunner, state: AttemptState
) -> None:
    _set(cluster, attempt, state)
    over = state not in (AttemptState.QUEUED, AttemptState.RUNNING)
    assert sweep(cluster.engine) == ([attempt] if over else [])
    assert engine_of_containers.cleared == ([container_of(attempt)] if over else [])
    assert sweep(cluster.engine) == []


def test_it_goes_when_the_lease_of_whoever_runs_it_has_run_out(cluster: World, attempt: str) -> None:
    assert sweep(cluster.engine) == []
    cluster.age(LEASE + 1)
    assert sweep(cluster.engine) == [attempt]


def test_it_goes_when_whoever_runs_it_has_died_here(
    cluster: World, attempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celeriac.engine.lost.is_dead", lambda owner, host: owner == "somebody")
    with cluster.engine.database.read() as connection:
        row = leases.running(connection, attempt)
    assert row is not None and sweep(cluster.engine) == [attempt]
    assert [(a.number, a.state) for a in cluster.attempts(row.run_id)] == [(1, "LOST"), (2, "QUEUED")]


def test_what_this_journal_does_not_know_is_another_s(cluster: World, engine_of_containers: StubRunner) -> None:
    engine_of_containers.left = {"of another installation"}
    assert sweep(cluster.engine) == [] and engine_of_containers.cleared == []


def test_without_a_container_nothing_is_asked(
    cluster: World, engine_of_containers: StubRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "over", lambda *arguments: pytest.fail("the journal was asked"))
    assert sweep(cluster.engine) == []


def test_what_its_own_worker_removes_meanwhile_is_no_leftover(
    cluster: World, attempt: str, engine_of_containers: StubRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(cluster, attempt, AttemptState.SETTLED)
    over = leases.over

    def meanwhile(*arguments: object) -> set[str]:
        engine_of_containers.left = set()
        return over(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(leases, "over", meanwhile)
    assert sweep(cluster.engine) == [] and engine_of_containers.cleared == []
