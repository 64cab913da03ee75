"""The end of a run: its outputs are published once, and whoever waits is told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celeriac.engine.advance import advance
from celeriac.engine.cancel import cancel
from celeriac.engine.outcome import outcome
from celeriac.errors import NotFoundError, RunFailed
from celeriac.job.publish import publish
from celeriac.journal.nodes import item_outputs
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import World, world


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", "+".join) as made:
        made.workers.append(made.worker())
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    one = step(tool("a", outputs={"out": "stdout"}, stdout="o.txt"), {"a": "x"})
    return write(tmp_path, workflow({"x": "int"}, {"s": one}, {"o": output("s/out", "File")}))


def test_outputs_go_to_the_directory_that_was_asked_for(cluster: World, document: Path, tmp_path: Path) -> None:
    row = cluster.finished(document, {"x": 5}, outdir=str(tmp_path / "results"))
    assert row.outputs["o"]["path"] == str(tmp_path / "results" / "o.txt")
    assert (tmp_path / "results" / "o.txt").read_text() == "5"
    assert outcome(cluster.engine, row.id) == row.outputs


def test_or_else_to_the_run_s_own(cluster: World, document: Path) -> None:
    row = cluster.finished(document, {"x": 5})
    assert row.outputs["o"]["path"] == str(cluster.home / "runs" / row.id / "outputs" / "o.txt")


def test_a_worker_leaves_to_another_what_that_one_publishes_now(
    cluster: World, document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def slow(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            cluster.scan(worker=cluster.workers[1])  # it lasts so long that a scan comes by
        return publish(*arguments, **options)

    monkeypatch.setattr("celeriac.engine.finish.publish", slow)
    row = cluster.finished(document, {"x": 5}, outdir=str(tmp_path / "results"))
    assert len(calls) == 1
    assert (row.state, cluster.ended) == ("SUCCESS", [row.id])


@pytest.mark.parametrize("result", ["results", "taken"])
def test_that_there_are_no_more_steps_is_told_before_outputs_are_published(
    cluster: World, document: Path, tmp_path: Path, result: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    told = []
    for worker in cluster.workers:
        worker.on_steps_end = lambda run: told.append((run, (tmp_path / "results" / "o.txt").exists()))
    row = cluster.finished(document, {"x": 5}, outdir=str(tmp_path / result))
    assert told == [(row.id, False)]


@pytest.mark.parametrize("last", [True, False])
def test_that_there_are_no_more_steps_is_told_before_the_outputs_of_a_scatter_are_gathered(
    cluster: World, tmp_path: Path, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    gathered = []

    def gather(*arguments: Any) -> Any:
        gathered.append(bool(told))
        return item_outputs(*arguments)

    monkeypatch.setattr("celeriac.journal.nodes.item_outputs", gather)
    for worker in cluster.workers:
        worker.on_steps_end = told.append
    steps = {"s": step(tool("a", outputs={"out": "stdout"}), {"a": "xs"}, scatter="a")}
    if not last:
        steps["t"] = step(tool("a", kind="File[]", outputs={"out": "stdout"}), {"a": "s/out"})
    document = write(tmp_path, workflow({"xs": "int[]"}, steps, {"o": output(f"{[*steps][-1]}/out")}, SCATTER))
    assert cluster.finished(document, {"xs": [1, 2]}).state == "SUCCESS"
    assert gathered == [last] and told


def test_outputs_that_can_not_be_written_fail_the_run_by_name(cluster: World, document: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    row = cluster.finished(document, {"x": 5}, outdir=str(tmp_path / "taken"))
    assert row.state == "FAILED"
    assert "can't be written" in row.error["message"] and "taken" in row.error["message"]
    assert cluster.nodes(row.id)["s"] == "SUCCESS"
    assert cluster.ended == [row.id]


def test_a_bug_while_publishing_fails_the_run_by_name(
    cluster: World, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celeriac.engine.finish.publish", lambda *arguments, **options: 1 / 0)
    row = cluster.finished(document, {"x": 5})
    assert row.state == "FAILED" and "ZeroDivisionError" in row.error["message"]


def test_a_run_cancelled_while_its_outputs_are_published_is_cancelled(
    cluster: World, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any, **options: Any) -> Any:
        assert cancel(cluster.engine, arguments[3]) == "CANCELED"
        return publish(*arguments, **options)

    monkeypatch.setattr("celeriac.engine.finish.publish", slow)
    row = cluster.finished(document, {"x": 5})
    assert (row.state, row.outputs) == ("CANCELED", None)
    assert cluster.ended == [row.id]


@pytest.mark.parametrize("good", [True, False])
def test_the_run_s_directory_is_removed_after_success_where_that_was_asked_for(
    cluster: World, document: Path, tmp_path: Path, good: bool
) -> None:
    (tmp_path / "taken").write_text("a file")
    outdir = tmp_path / ("results" if good else "taken")
    row = cluster.finished(document, {"x": 5}, outdir=str(outdir), cleanup=True)
    assert (cluster.home / "runs" / row.id).exists() is not good
    if good:
        assert (outdir / "o.txt").read_text() == "5"


def test_who_waits_is_told_once(cluster: World, document: Path) -> None:
    place = {"task_id": "t", "chain": None}
    run = cluster.submit(cluster.check(document, {"x": 5}), reply=place)
    cluster.drain()
    for _ in range(3):
        advance(cluster.engine, run)
        cluster.scan()
    assert [payload for _, kind, payload in cluster.sent if kind == "reply"] == [place]
    assert cluster.ended == [run]


def test_what_there_is_not_has_no_outcome(cluster: World, document: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no run nowhere"):
        outcome(cluster.engine, "nowhere")
    run = cluster.start(document, {"x": 5})
    with pytest.raises(RunFailed, match="is PENDING"):
        outcome(cluster.engine, run)


def test_a_document_may_go_once_the_run_is_submitted(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"x": 5})
    document.unlink()
    worker = cluster.worker()  # it never saw the document
    cluster.workers.append(worker)
    while cluster.pending:
        cluster.deliver(cluster.take(), worker)
    assert cluster.run(run).state == "SUCCESS"
