"""A queue file that changes under a program that runs: new runs go by it, old ones keep what they had."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.errors import OutOfMemory, PlacementError, QueueFileError
from celeriac.resources import QueueLimits
from queues.source import QueueFile
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import world

ONE = "default: {cpus: 1, ram: 1024}\n"
TWO = ONE + "advanced: {cpus: 2, ram: 2048}\n"
DEFAULT, ADVANCED = QueueLimits("default", 1, 1024), QueueLimits("advanced", 2, 2048)


class File:
    """A queue file; each change is seen as one, however fast it follows the last."""

    def __init__(self, path: Path, body: str = ONE) -> None:
        self.path = path
        self.times = 0
        self.write(body)

    def write(self, body: str) -> None:
        self.path.write_text(body)
        self.touch()

    def touch(self) -> None:
        self.times += 1
        os.utime(self.path, (self.times, self.times))

    def replace(self, body: str) -> None:
        """Put another file in its place, as editors and deployments do."""
        other = File(self.path.with_suffix(".new"), body)
        os.utime(other.path, (self.times, self.times))
        other.path.replace(self.path)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "queues.yaml")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_change_is_seen_at_the_next_call(file: File) -> None:
    source = QueueFile(file.path)
    assert source() == (DEFAULT,)
    file.write(TWO)
    assert source() == (DEFAULT, ADVANCED)
    file.write(ONE)
    assert source() == (DEFAULT,)


def test_a_file_that_takes_its_place_is_seen_even_if_it_is_as_old(file: File) -> None:
    source = QueueFile(file.path)
    file.replace(ONE.replace("1024", "4096"))
    assert source() == (QueueLimits("default", 1, 4096),)


def test_while_it_has_a_mistake_the_queues_stay(file: File, caplog: pytest.LogCaptureFixture) -> None:
    source = QueueFile(file.path)
    file.write(TWO.replace("2048", "-1"))
    for _ in range(3):
        assert source() == (DEFAULT,)
    (said,) = errors(caplog)  # once a change, not once a run
    assert f"{file.path}:2" in said and "-1" in said
    file.write(TWO)
    assert source() == (DEFAULT, ADVANCED)
    assert len(errors(caplog)) == 1


def test_a_file_that_is_gone_leaves_the_queues_till_it_is_there_again(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    source = QueueFile(file.path)
    file.path.unlink()
    for _ in range(3):
        assert source() == (DEFAULT,)
    (said,) = errors(caplog)
    assert "does not exist" in said
    file.write(TWO)
    assert source() == (DEFAULT, ADVANCED)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"default: {cpus: 1", b"x" * (2 * 2**20)], ids=range(4))
def test_whatever_is_written_there_the_queues_stay(file: File, body: bytes) -> None:
    source = QueueFile(file.path)
    file.path.write_bytes(body)
    file.touch()
    assert source() == (DEFAULT,)


def test_a_directory_in_its_place_is_a_mistake_as_any_other(file: File) -> None:
    source = QueueFile(file.path)
    file.path.unlink()
    file.path.mkdir()
    assert source() == (DEFAULT,)


def test_the_same_content_written_again_changes_nothing(file: File) -> None:
    source = QueueFile(file.path)
    before = source()
    file.write(ONE)
    assert source() == before


def test_what_has_not_changed_is_not_read_again(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    source = QueueFile(file.path)
    monkeypatch.setattr("queues.source.load", lambda path: pytest.fail("it was read again"))
    assert source() == source() == (DEFAULT,)


@pytest.mark.parametrize("body", ["", "default: {cpus: 0, ram: 1}\n"])
def test_at_the_start_a_mistake_is_an_error(tmp_path: Path, body: str) -> None:
    with pytest.raises(QueueFileError):
        QueueFile(File(tmp_path / "queues.yaml", body).path)
    with pytest.raises(QueueFileError, match="does not exist"):
        QueueFile(tmp_path / "nowhere.yaml")


BODIES = {ONE: (DEFAULT,), TWO: (DEFAULT, ADVANCED), "default: {cpus: x}\n": None, "": None}


@given(bodies=st.lists(st.sampled_from([*BODIES, None]), max_size=8))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_it_always_gives_the_last_that_was_right(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[str | None]
) -> None:
    """None: the file is removed."""
    file = File(tmp_path_factory.mktemp("home") / "queues.yaml")
    source, expected = QueueFile(file.path), BODIES[ONE]
    for body in bodies:
        if body is None:
            file.path.unlink(missing_ok=True)
        else:
            file.write(body)
            expected = BODIES[body] or expected
        assert source() == expected


def test_many_threads_see_whole_tables_only(file: File) -> None:
    source = QueueFile(file.path)
    wrong: list[Any] = []

    def look(_: int) -> None:
        for _ in range(50):
            found = source()
            if tuple(found) not in ((DEFAULT,), (DEFAULT, ADVANCED)):
                wrong.append(found)

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look, number) for number in range(4)]
        for turn in range(20):
            file.replace(TWO if turn % 2 else ONE)
            file.touch()
        for done in looking:
            done.result(30)
    assert wrong == []


# --- runs ----------------------------------------------------------------------------------------


def one(directory: Path, cores: int = 1) -> Path:
    """Write a workflow of one step that asks for so many cores."""
    run = tool("a", requirements=[{"class": "ResourceRequirement", "coresMin": cores}])
    return write(
        directory, workflow({"x": "int"}, {"s": step(run, {"a": "x"})}, {"o": output("s/out")}), f"{cores}.cwl"
    )


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, logger="queues.source")
    yield


def test_new_runs_go_by_the_new_table_and_old_ones_by_their_own(tmp_path: Path, file: File, quiet: None) -> None:
    file.write(TWO)
    with world(tmp_path / "home", queues=QueueFile(file.path)) as cluster:
        old = cluster.start(one(tmp_path, cores=2), {"x": 1})  # nothing of it is placed yet
        file.write("large: {cpus: 16, ram: 64000}\n")
        new = cluster.start(one(tmp_path, cores=2), {"x": 2})
        cluster.drain()
        assert [(a.queue, a.granted["ram"]) for a in cluster.attempts(old)] == [("advanced", 2048)]
        assert [(a.queue, a.granted["ram"]) for a in cluster.attempts(new)] == [("large", 64000)]
        assert cluster.run(old).state == cluster.run(new).state == "SUCCESS"


def test_a_worker_that_comes_later_goes_by_the_run_s_table_too(tmp_path: Path, file: File, quiet: None) -> None:
    def hungry(words: Sequence[str]) -> Any:
        if len(cluster.started) == 1:
            raise OutOfMemory("it used more memory than it had")
        return {"out": 1}

    file.write(TWO)
    with world(tmp_path / "home", hungry, queues=QueueFile(file.path)) as cluster:
        run = cluster.start(one(tmp_path), {"x": 1})
        file.write("large: {cpus: 16, ram: 64000}\n")
        late = cluster.worker()
        cluster.workers.append(late)
        while cluster.pending:
            cluster.deliver(cluster.take(), late)
        assert [(a.queue, a.granted["ram"]) for a in cluster.attempts(run)] == [("default", 1024), ("advanced", 2048)]


def test_what_no_longer_fits_is_refused_at_submit(tmp_path: Path, file: File, quiet: None) -> None:
    file.write(TWO)
    with world(tmp_path / "home", queues=QueueFile(file.path)) as cluster:
        cluster.check(one(tmp_path, cores=2), {"x": 1})
        file.write(ONE)
        with pytest.raises(PlacementError, match=r"step s asks for 2 CPUs, .* the largest is default"):
            cluster.check(one(tmp_path, cores=2), {"x": 1})
