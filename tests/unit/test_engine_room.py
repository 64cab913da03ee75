"""A step starts only where there is room; where there is none, the run says which file system lacks it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.container import disk
from celeriac.engine import room
from celeriac.engine.execute import execute
from celeriac.engine.room import Look, decide
from celeriac.errors import ContainerError, DiskFull
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import World, add, world

#: More MiB than any disk of a test has.
ALL_OF_IT = 2**40
HANG = 30.0


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write(tmp_path, workflow({"x": "int"}, {"s": step(tool("a"), {"a": "x"})}, {"o": output("s/out")}))


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose disk never has what is to be free."""
    monkeypatch.setattr(room, "PAUSE", 0.01)
    with world(tmp_path / "home", disk_reserve=ALL_OF_IT, disk_patience=HANG, cancel_poll=0.01) as made:
        yield made


@given(st.none() | st.integers(0, 100), st.integers(0, 100), st.floats(0, 100), st.floats(0.1, 100))
def test_what_follows_from_a_look(free: int | None, wanted: int, waited: float, patience: float) -> None:
    look = decide(free, wanted, waited, patience)
    enough = wanted == 0 or free is None or free >= wanted
    assert (look is Look.GO) == enough
    assert enough or (look is Look.WAIT) == (waited < patience)


def started(cluster: World, document: Path) -> tuple[str, str]:
    """Start a run; return its id and that of the attempt that is queued."""
    run = cluster.start(document, {"x": 5})
    cluster.deliver(cluster.take())
    return run, cluster.attempts(run, "s")[0].id


def test_without_room_a_run_ends_with_a_named_cause(tmp_path: Path, document: Path) -> None:
    with world(tmp_path / "home", disk_reserve=ALL_OF_IT, disk_patience=1e-6) as cluster:
        run, _ = started(cluster, document)
        cluster.repair(run)
        row = cluster.run(run)
        assert row.state == "FAILED" and cluster.started == []
        assert row.error["type"] == "DiskFull" and "'s' was not started" in row.error["message"]
        place = row.error["fields"]["file_system"]
        assert f"the file system {place} of {tmp_path}/home/runs/{run} has" in row.error["message"]
        assert "CELERIAC_DISK_RESERVE" in row.error["hint"]
        tries = cluster.attempts(run, "s")
        assert {one.outcome for one in tries} == {"infrastructure"} and len(tries) == 3


def test_what_waits_for_room_can_be_claimed_by_others(full: World, document: Path, caplog: Any) -> None:
    run, attempt = started(full, document)
    thread = threading.Thread(target=execute, args=(full.engine, attempt))
    thread.start()
    try:
        other = full.worker(disk_reserve=0)
        full.workers.append(other)
        assert execute(other, [attempt]) == {attempt: {"out": 5}}
        thread.join(HANG)
        assert not thread.is_alive(), "it is not wanted any more"
    finally:
        full.engine.leases.take_no_more()
        thread.join(HANG)
    assert len(full.attempts(run, "s")) == 1
    told = [record.message for record in caplog.records if "waits for room" in record.message]
    assert len(told) <= 1


def test_what_waits_for_room_is_let_go_when_its_worker_ends(full: World, document: Path) -> None:
    run, attempt = started(full, document)
    threading.Timer(0.05, full.engine.leases.take_no_more).start()
    assert execute(full.engine, [attempt]) == {}
    assert [(one.state, one.started) for one in full.attempts(run, "s")] == [("QUEUED", None)]


def test_it_starts_when_there_is_room_again(full: World, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, attempt = started(full, document)
    answers = iter([0, 0, 0])
    monkeypatch.setattr(disk, "free", lambda path: next(answers, ALL_OF_IT * 2**20))
    assert execute(full.engine, [attempt]) == {attempt: {"out": 5}}
    assert next(answers, None) is None


def test_a_slot_is_given_back_while_there_is_no_room(
    full: World, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk became full while the step waited for its slot."""
    _, attempt = started(full, document)
    answers = iter([ALL_OF_IT * 2**20, 0, 0])
    monkeypatch.setattr(disk, "free", lambda path: next(answers, ALL_OF_IT * 2**20))
    given_back: list[str] = []
    monkeypatch.setattr(full.engine.slots, "give_back", given_back.append)
    assert execute(full.engine, [attempt]) == {attempt: {"out": 5}}
    assert given_back == [attempt, attempt], "once for the room, once at the end"


def test_an_expression_needs_no_room(full: World, tmp_path: Path) -> None:
    document = write(
        tmp_path,
        {
            "class": "ExpressionTool",
            "requirements": [{"class": "InlineJavascriptRequirement"}],
            "inputs": {"x": "int"},
            "outputs": {"o": "int"},
            "expression": "${ return {o: inputs.x}; }",
        },
    )
    assert full.finished(document, {"x": 1}).outputs == {"o": 1}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_is_not_the_tool_s_failure(tmp_path: Path, document: Path, number: int) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        if not cluster.attempts(run, "s")[1:]:
            raise OSError(number, "no room", "/somewhere")
        return add(words)

    with world(tmp_path / "home", play) as cluster:
        run, _ = started(cluster, document)
        cluster.repair(run)
        first, second = cluster.attempts(run, "s")
        assert (first.outcome, first.error["type"], second.outcome) == ("infrastructure", "DiskFull", "success")
        assert "has no room left" in first.error["message"]


def test_a_full_disk_is_known_by_what_an_error_came_from() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("cwltool says so in its way") from error
    except ValueError as error:
        assert disk.is_full(error)
    assert disk.is_full(DiskFull("full")) and not disk.is_full(ContainerError("x")) and not disk.is_full(None)
    assert not disk.is_full(OSError(errno.EACCES, "no"))


def test_room_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    there = disk.free(tmp_path / "not" / "yet")
    assert there is not None and there > 0
    assert Path(disk.file_system(tmp_path / "not" / "yet")).is_mount()
