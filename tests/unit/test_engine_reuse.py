"""Reuse across runs as the engine does it: what is taken, what is not, and whose files stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.engine.reuse import Anything
from celeriac.errors import JournalUnavailable
from celeriac.journal import digests, reuse
from celeriac.journal.tables import Record
from celeriac.states import Outcome, RunState
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, add, world


def file_of(words: Sequence[str]) -> str:
    """Play a tool whose standard output is a file; 13 fails."""
    if "13" in words:
        raise Exit(1)
    return " ".join(words) + "\n"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", file_of) as made:
        yield made


def chain(directory: Path, *more: str, name: str = "wf.cwl") -> Path:
    """Return a workflow of two tools; ``more`` are words on the second one's command line."""
    first = tool("a", stdout="first", outputs={"out": "stdout"})
    second = tool("f", kind="File", stdout="second", outputs={"out": "stdout"}, arguments=list(more))
    steps = {"one": step(first, {"a": "n"}), "two": step(second, {"f": "one/out"})}
    return write(directory, workflow({"n": "int"}, steps, {"out": output("two/out")}), name)


def start(lab: World, document: Path, inputs: dict[str, Any], **options: Any) -> str:
    """Submit a run that may reuse."""
    return lab.start(document, inputs, **{"reuse": True, **options})


def done(lab: World, document: Path, inputs: dict[str, Any], **options: Any) -> Record:
    """Run to the end; what was done before may be reused."""
    return lab.finished(document, inputs, **{"reuse": True, **options})


def ran(lab: World, run: str) -> list[str]:
    """Return the paths at which a run started tools."""
    return sorted(row.path for row in lab.attempts(run) if row.id in lab.started)


def test_the_same_run_again_starts_nothing(lab: World, tmp_path: Path) -> None:
    first = done(lab, chain(tmp_path), {"n": 1})
    again = done(lab, chain(tmp_path), {"n": 1})
    assert (ran(lab, first.id), ran(lab, again.id)) == (["one", "two"], [])
    made = {row.path: row for row in lab.attempts(first.id)}
    for row in lab.attempts(again.id):
        assert row.reused == made[row.path].id and row.key == made[row.path].key
        assert (row.outcome, row.exit_code) == (Outcome.SUCCESS, 0)
        assert row.outputs == made[row.path].outputs
    assert Path(again.outputs["out"]["path"]) != Path(first.outputs["out"]["path"])  # a copy of its own
    assert Path(again.outputs["out"]["path"]).stat().st_ino != Path(first.outputs["out"]["path"]).stat().st_ino


def test_the_maker_is_named_not_who_reused_it(lab: World, tmp_path: Path) -> None:
    first, *others = (done(lab, chain(tmp_path), {"n": 1}) for _ in range(3))
    makers = {row.id for row in lab.attempts(first.id)}
    for run in others:
        assert {row.reused for row in lab.attempts(run.id)} == makers


def test_an_edited_step_runs_alone(lab: World, tmp_path: Path) -> None:
    done(lab, chain(tmp_path), {"n": 1})
    again = done(lab, chain(tmp_path, "more"), {"n": 1})
    assert ran(lab, again.id) == ["two"]


def test_a_failed_step_has_parts_and_no_key(lab: World, tmp_path: Path) -> None:
    run = done(lab, chain(tmp_path, "13"), {"n": 1})
    assert run.state == RunState.FAILED
    good, bad = sorted(lab.attempts(run.id), key=lambda row: row.path)
    assert good.key and good.parts and bad.key is None and bad.parts
    again = done(lab, chain(tmp_path, "13"), {"n": 1})
    assert ran(lab, again.id) == ["two"]


def test_no_reuse(lab: World, tmp_path: Path) -> None:
    done(lab, chain(tmp_path), {"n": 1})
    off = done(lab, chain(tmp_path), {"n": 1}, reuse=False)
    assert ran(lab, off.id) == ["one", "two"]
    assert {row.key for row in lab.attempts(off.id)} == {None}


def test_equal_items_of_one_run_are_run_each_and_later_taken_each(tmp_path: Path) -> None:
    scattered = workflow(
        {"n": "int[]"}, {"s": step(tool("a"), {"a": "n"}, scatter="a")}, {"out": output("s/out")}, SCATTER
    )
    with world(tmp_path / "home", add) as lab:
        document = write(tmp_path, scattered)
        first = done(lab, document, {"n": [5, 5, 5]})
        assert len(ran(lab, first.id)) == 3
        again = done(lab, document, {"n": [5, 5, 5, 5]})
        assert len(ran(lab, again.id)) == 1  # there were three to take
        taken = [row.reused for row in lab.attempts(again.id) if row.reused]
        assert len(set(taken)) == 3 and again.outputs == {"out": [5, 5, 5, 5]}


def test_a_run_that_removes_its_files_gives_nothing_before_nor_after_its_end(lab: World, tmp_path: Path) -> None:
    open_ = start(lab, chain(tmp_path), {"n": 1}, cleanup=True, outdir=str(tmp_path / "out"))
    while not lab.attempts(open_, "two"):
        lab.deliver(lab.take())
    waiting, lab.pending = lab.pending, []
    beside = done(lab, chain(tmp_path), {"n": 1}, cleanup=True, outdir=str(tmp_path / "beside"))
    assert ran(lab, beside.id) == ["one", "two"]
    lab.pending = waiting
    lab.drain()
    assert lab.over(open_) and list((lab.home / "runs").iterdir()) == []
    assert {row.key for run in (open_, beside.id) for row in lab.attempts(run)} == {None}
    after = done(lab, chain(tmp_path), {"n": 1})
    assert ran(lab, after.id) == ["one", "two"]


def test_a_run_whose_outputs_were_taken_keeps_its_files(lab: World, tmp_path: Path) -> None:
    failed = done(lab, chain(tmp_path, "13"), {"n": 1}, cleanup=True)
    taker = done(lab, chain(tmp_path, "more"), {"n": 1})
    assert ran(lab, taker.id) == ["two"]
    with lab.engine.database.begin() as connection:
        assert reuse.used_by(connection, failed.id) == taker.id
        assert not reuse.release(connection, failed.id)
        assert reuse.release(connection, taker.id)  # it needs them no longer
        assert reuse.used_by(connection, failed.id) is None
        assert reuse.release(connection, failed.id)


def test_outputs_are_taken_once_a_run_and_only_while_they_are_named(lab: World, tmp_path: Path) -> None:
    made = done(lab, chain(tmp_path), {"n": 1})
    one = lab.attempts(made.id, "one")[0]
    other = start(lab, chain(tmp_path), {"n": 1})
    while not lab.attempts(other, "one"):
        lab.deliver(lab.take())
    name = lab.attempts(other, "one")[0].id
    database, owner = lab.engine.database, lab.engine.owner
    with database.begin() as connection:
        assert not reuse.take(connection, name, owner, one.id, one.key)  # nobody has claimed it
    lab.drain()
    assert lab.attempts(other, "one")[0].reused == one.id
    with database.read() as connection:
        assert one.id not in [row.id for row in reuse.candidates(connection, one.key, other, "one")]
        assert one.id in [row.id for row in reuse.candidates(connection, one.key, "another", "elsewhere")]
    with database.begin() as connection:
        assert not reuse.take(connection, name, owner, one.id, "another key")


def test_a_file_that_is_gone_is_told(lab: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = done(lab, chain(tmp_path), {"n": 1})
    path = lab.attempts(made.id, "one")[0].outputs["out"]["location"].removeprefix("file://")
    Path(path).unlink()
    with caplog.at_level("INFO"):
        again = done(lab, chain(tmp_path), {"n": 1})
    assert ran(lab, again.id) == ["one"]
    remark = f"of the outputs of run {made.id} {path} is not there any more"
    assert lab.attempts(again.id, "one")[0].parts[""] == remark
    assert remark in caplog.text and "'two' was done before" in caplog.text


def test_an_input_that_changes_while_the_tool_runs_gives_no_key(tmp_path: Path) -> None:
    reads = tmp_path / "reads"
    reads.write_text("one")

    def play(words: Sequence[str]) -> str:
        reads.write_text("two")
        return "said"

    with world(tmp_path / "home", play) as lab:
        single = write(tmp_path, tool("f", kind="File", outputs={"out": "stdout"}))
        run = done(lab, single, {"f": {"class": "File", "path": str(reads)}})
        (row,) = lab.attempts(run.id)
        assert row.outcome == Outcome.SUCCESS and row.key is None and "while the tool ran" in row.parts[""]


def test_a_journal_that_is_away_stops_no_tool(lab: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*words: Any) -> Any:
        raise JournalUnavailable("it is away")

    done(lab, chain(tmp_path), {"n": 1})
    monkeypatch.setattr(reuse, "candidates", away)
    again = done(lab, chain(tmp_path), {"n": 1})
    assert (again.state, ran(lab, again.id)) == (RunState.SUCCESS, ["one", "two"])


def test_digests_in_the_journal(lab: World) -> None:
    with lab.engine.database.begin() as connection:
        for stamp in ("1", "2"):
            digests.put(connection, "host", "/x", stamp, f"sha1${stamp}")
        assert digests.get(connection, "host", "/x", "2") == "sha1$2"
        assert digests.get(connection, "host", "/x", "1") is None
        assert digests.get(connection, "other", "/x", "2") is None
        assert digests.forget(connection, 1000.0) == 0
        assert digests.forget(connection, -1.0) == 1


def test_what_appears_beside_a_run_is_seen_after_a_while(
    lab: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(lab, chain(tmp_path), {"n": 1})
    while not lab.attempts(first, "one"):
        lab.deliver(lab.take())
    lab.deliver(lab.take())  # it runs: there was nothing
    waiting, lab.pending = lab.pending, []
    beside = done(lab, chain(tmp_path), {"n": 1})
    assert ran(lab, beside.id) == ["two"]
    lab.pending = waiting
    monkeypatch.setattr(lab.engine, "anything", Anything())  # as if time had passed
    lab.drain()
    assert ran(lab, first) == ["one"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_in_any_order_each_value_is_computed_once(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("reuse")
    with world(directory / "home", add) as lab:
        document = write(directory, tool("a"))
        for number in numbers:
            assert done(lab, document, {"a": number}).outputs == {"out": number}
        assert len(lab.started) == len(set(numbers))


def test_the_queries_use_their_indexes(lab: World) -> None:
    """They are asked at each step: what they cost may not grow with the journal."""
    values = {"name": "k", "run": "r", "node": "n"}
    for statement in (reuse._CANDIDATES, reuse._USED, reuse._ANYTHING):
        with lab.engine.database.read() as connection:
            compiled = statement.params(**values).compile(connection, compile_kwargs={"literal_binds": True})
            details = [str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
        assert not [line for line in details if line.startswith(("SCAN made", "SCAN taken", "SCAN attempts"))], details
