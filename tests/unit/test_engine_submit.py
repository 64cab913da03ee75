"""Submit: checked before anything is written, durable after, and once however often it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from celeriac.engine.submit import submit
from celeriac.errors import DocumentError, InputError
from celeriac.journal import outbox, runs
from tests.unit.engine_documents import tool, write
from tests.unit.engine_harness import World, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home") as made:
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, tool("a"))


def _runs(cluster: World) -> list[str]:
    with cluster.engine.database.read() as connection:
        return runs.open_runs(connection)


def test_what_is_submitted_is_in_the_journal_with_its_first_message(cluster: World, document: Path) -> None:
    run, messages = submit(cluster.engine, cluster.check(document, {"a": 1}))
    assert _runs(cluster) == [run]
    with cluster.engine.database.read() as connection:
        waiting = outbox.overdue(connection, -1)
    assert [(row.id, row.run_id, row.kind) for row in waiting] == [(messages[0][0], run, "advance")]
    assert cluster.sent == [], "nothing is sent before the commit"


def test_a_run_of_the_same_id_is_submitted_once(cluster: World, document: Path) -> None:
    first, messages = submit(cluster.engine, cluster.check(document, {"a": 1}), run="mine")
    again, nothing = submit(cluster.engine, cluster.check(document, {"a": 2}), run="mine")
    assert (first, again, len(messages), nothing) == ("mine", "mine", 1, [])
    cluster.engine.send("mine", messages)
    cluster.drain()
    assert cluster.run("mine").outputs == {"out": 1}


def test_two_runs_never_share_an_id(cluster: World, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["same", "same", "other"])
    monkeypatch.setattr("celeriac.engine.submit.secrets.token_hex", lambda size: next(ids))
    submission = cluster.check(document, {"a": 1})
    assert [submit(cluster.engine, submission)[0] for _ in range(2)] == ["same", "other"]


def test_what_is_wrong_is_said_before_anything_is_written(cluster: World, document: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a'"):
        cluster.check(document, {"a": "text"})
    with pytest.raises(DocumentError, match=r"none\.cwl"):
        cluster.check(tmp_path / "none.cwl")
    assert _runs(cluster) == []


@pytest.mark.parametrize("fair", [True, False], ids=["for workers", "embedded"])
def test_a_submit_that_returned_outlives_a_power_cut(
    tmp_path: Path, fair: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's log is written to the disk before: of an embedded run nobody would come back to it."""
    written: set[int] = set()
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (written.add(os.fstat(file).st_ino), real(file))[1])
    with world(tmp_path / "home", fair=fair) as made:
        submission = made.check(write(tmp_path, tool("a"), "t.cwl"), {"a": 1})
        made.submit(submission)
        log = os.stat(tmp_path / "home" / "journal.db-wal").st_ino
        assert (log in written) is fair
