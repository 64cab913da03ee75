"""What listeners are told of a run: written in the commit of what it tells of, once each, if anybody listens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text

from celeriac.engine.cancel import cancel
from celeriac.engine.due import remind
from celeriac.engine.reopen import reopen
from celeriac.engine.scan import scan
from celeriac.engine.stop import cancel_step
from celeriac.errors import AccessError, CeleriacError, SettingsError
from celeriac.journal import notices
from celeriac.journal.tables import notices as table
from tests.unit.engine_documents import SCATTER, SUBWORKFLOW, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, add, world

URL = "http://127.0.0.1:9/airflow"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", notify_url=URL) as made:
        yield made


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """``a``, then ``b``, then ``c``."""
    return a_chain(tmp_path)


def a_chain(directory: Path) -> Path:
    steps = {
        "a": step(tool("x"), {"x": "n"}),
        "b": step(tool("x"), {"x": "a/out"}),
        "c": step(tool("x"), {"x": "b/out"}),
    }
    return write(directory, workflow({"n": "int"}, steps, {"out": output("c/out")}), "chain.cwl")


def wide(directory: Path, width: str = "list") -> Path:
    """Write a scatter of a workflow of two steps beside a subworkflow, and a step after each."""
    inner = workflow({"x": "int"}, {"in": step(tool("x"), {"x": "x"})}, {"out": output("in/out")})
    steps = {
        "each": step(inner, {"x": width}, scatter="x"),
        "sub": step(inner, {"x": "n"}),
        "last": step(tool("x"), {"x": "sub/out"}),
    }
    outputs = {name: output(f"{name}/out") for name in steps}
    return write(directory, workflow({"n": "int", "list": "int[]"}, steps, outputs, SCATTER, SUBWORKFLOW), "wide.cwl")


def told(cluster: World, run: str, target: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return what a listener is told of a run, in its order."""
    statement = select(table.c.route, table.c.payload).where(table.c.run_id == run, table.c.target == target)
    with cluster.engine.database.read() as connection:
        return [(row.route, row.payload) for row in connection.execute(statement.order_by(table.c.id))]


def short(cluster: World, run: str, target: str = "") -> list[str]:
    """Return the same in words: "a running", "33% running", "100% success", "results"."""
    found = []
    for route, payload in told(cluster, run, target):
        if route == "status":
            found.append(f"{payload['task_id']} {payload['state']}")
        elif route == "progress":
            found.append(f"{payload['progress']}% {payload['state']}")
        else:
            found.append(payload.get("event", route))
    return found


def statuses(cluster: World, run: str, task: str) -> list[str]:
    return [p["state"] for route, p in told(cluster, run) if route == "status" and p["task_id"] == task]


def failing(step_number: str) -> Any:
    """Return a play where the tool that gets this number fails."""

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        if words[0] == step_number:
            raise Exit(3, "what went wrong\n")
        return add(words)

    return play


# --- what is told ----------------------------------------------------------------------------------


def test_a_run_from_its_first_step_to_its_results(cluster: World, chain: Path) -> None:
    run = cluster.finished(chain, {"n": 1}).id
    assert short(cluster, run) == [
        "a running", "a success", "33% running", "b running", "b success", "66% running", "c running", "c success",
        "99% running", "100% success", "results",
    ]  # fmt: skip
    found = told(cluster, run)
    assert {(p["dag_id"], p["run_id"]) for _, p in found} == {("chain", run)}
    assert found[-1][1]["results"] == {"out": 1}
    statistics = found[-2][1]["statistics"]
    assert set(statistics["steps"]) == {"a", "b", "c"}
    assert statistics["total"]["start_date"] <= statistics["steps"]["a"]["start_date"]
    assert statistics["steps"]["c"]["end_date"] <= statistics["total"]["end_date"]


def test_whoever_hears_of_it_is_woken(cluster: World, chain: Path) -> None:
    run = cluster.finished(chain, {"n": 1}).id
    assert (run, "notify", {}) in cluster.sent


def test_a_run_of_one_tool(cluster: World, tmp_path: Path) -> None:
    run = cluster.finished(write(tmp_path, tool("x"), "one.cwl"), {"x": 1}).id
    assert short(cluster, run) == ["one running", "one success", "99% running", "100% success", "results"]


def test_a_step_that_failed_and_those_that_need_it(cluster: World, chain: Path) -> None:
    cluster.play = failing("1")
    run = cluster.finished(chain, {"n": 1}).id
    assert short(cluster, run) == [
        "a running", "a failed", "b upstream_failed", "c upstream_failed", "0% failed",
    ]  # fmt: skip
    last = told(cluster, run)[-1][1]
    assert "exit" in last["error"] and "3" in last["error"]
    assert last["logs"] == {"failed_steps": {"a": "what went wrong"}, "previous_steps": {}}


def test_with_on_error_continue_the_same_is_told(cluster: World, chain: Path) -> None:
    cluster.play = failing("1")
    run = cluster.finished(chain, {"n": 1}, on_error="continue").id
    assert sorted(short(cluster, run)) == sorted(
        ["a running", "a failed", "b upstream_failed", "c upstream_failed", "0% failed"]
    )


def test_what_ran_before_the_step_that_failed(cluster: World, tmp_path: Path) -> None:
    steps = {"a": step(tool("x"), {"x": "n"}), "b": step(tool("x", "y"), {"x": "m", "y": "a/out"})}
    path = write(tmp_path, workflow({"n": "int", "m": "int"}, steps, {"out": output("b/out")}), "two.cwl")
    cluster.play = failing("7")
    run = cluster.finished(path, {"n": 1, "m": 7}).id
    last = told(cluster, run)[-1][1]
    assert (last["state"], last["progress"]) == ("failed", 50)
    assert set(last["logs"]["previous_steps"]) == {"a"} and set(last["logs"]["failed_steps"]) == {"b"}


def test_a_step_that_is_tried_again(cluster: World, tmp_path: Path) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        raise Exit(75)

    cluster.play = play
    document = write(tmp_path, tool("x", temporaryFailCodes=[75]), "again.cwl")
    run = cluster.finished(document, {"x": 1}).id
    expected = ["running", "up_for_retry", "running", "success"]
    assert statuses(cluster, run, "again") == expected


def test_a_worker_that_was_lost_is_a_try_that_failed(cluster: World, chain: Path) -> None:
    def die(words: Sequence[str]) -> Mapping[str, Any]:
        cluster.play = add
        raise KeyboardInterrupt

    run = cluster.start(chain, {"n": 1})
    cluster.deliver(cluster.take())
    cluster.play = die
    with pytest.raises(KeyboardInterrupt):
        cluster.deliver(cluster.take())
    cluster.repair(run)
    assert statuses(cluster, run, "a") == ["running", "up_for_retry", "running", "success"]


def test_a_scatter_and_a_subworkflow_are_steps_as_a_whole(cluster: World, tmp_path: Path) -> None:
    run = cluster.finished(wide(tmp_path), {"n": 1, "list": [1, 2, 3]}).id
    for task in ("each", "sub", "sub/in", "last"):
        assert statuses(cluster, run, task) == ["running", "success"], short(cluster, run)
    assert len([1 for route, _ in told(cluster, run) if route == "status"]) == 8
    numbers = [p["progress"] for route, p in told(cluster, run) if route == "progress"]
    assert numbers == sorted(numbers) and numbers[-1] == 100


def test_an_item_that_fails_is_its_scatter(cluster: World, tmp_path: Path) -> None:
    cluster.play = failing("2")
    run = cluster.finished(wide(tmp_path), {"n": 1, "list": [1, 2, 3]}).id
    assert statuses(cluster, run, "each") == ["running", "failed"]
    assert short(cluster, run)[-1].endswith("failed")
    assert "each[1]/in" in told(cluster, run)[-1][1]["logs"]["failed_steps"]


def test_an_empty_scatter(cluster: World, tmp_path: Path) -> None:
    run = cluster.finished(wide(tmp_path), {"n": 1, "list": []}).id
    assert statuses(cluster, run, "each") == ["running", "success"]


def test_a_cancelled_run_has_failed_and_says_so(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, {"n": 1})
    cluster.deliver(cluster.take())
    assert cancel(cluster.engine, run) == "CANCELED"
    assert short(cluster, run)[-1] == "0% failed"
    assert "cancelled" in told(cluster, run)[-1][1]["error"]


def test_a_run_that_is_cancelled_while_a_step_runs(cluster: World, chain: Path) -> None:
    def play(words: Sequence[str]) -> Mapping[str, Any]:
        cancel(cluster.engine, run)
        return add(words)

    run = cluster.start(chain, {"n": 1})
    cluster.play = play
    cluster.drain()
    assert short(cluster, run)[0] == "a running"
    assert short(cluster, run)[-1].endswith("% failed")
    assert len(statuses(cluster, run, "a")) == 2


@pytest.mark.parametrize("path", ["sub", "sub/in"])
def test_a_step_that_is_cancelled_takes_what_is_in_it_along(cluster: World, tmp_path: Path, path: str) -> None:
    run = cluster.start(wide(tmp_path), {"n": 1, "list": []})

    def play(words: Sequence[str]) -> Mapping[str, Any]:
        if not cluster.ended:
            cancel_step(cluster.engine, run, path)
        return add(words)

    cluster.play = play
    cluster.drain()
    assert statuses(cluster, run, "sub/in") == ["running", "failed"]
    assert statuses(cluster, run, "sub") == ["running", "failed"]
    assert statuses(cluster, run, "last") == ["upstream_failed"]


def test_a_state_that_was_set_by_hand_is_told(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, {"n": 1})
    cluster.deliver(cluster.take())
    with cluster.engine.database.begin() as connection:
        connection.execute(text("UPDATE runs SET state = 'FAILED' WHERE id = :r"), {"r": run})
    assert scan(cluster.engine)
    assert short(cluster, run)[-1] == "0% failed"
    assert "set FAILED in the database" in told(cluster, run)[-1][1]["error"]


def test_a_run_that_is_opened_again_goes_on_telling(cluster: World, chain: Path) -> None:
    cluster.play = failing("1")
    run = cluster.finished(chain, {"n": 1}).id
    before = len(told(cluster, run))
    cluster.play = add
    cluster.engine.send(run, reopen(cluster.engine, run).messages)
    cluster.drain()
    assert short(cluster, run)[before:][-2:] == ["100% success", "results"]


# --- whom ------------------------------------------------------------------------------------------


def test_a_runs_own_listener_is_told_beside_the_usual_one(cluster: World, chain: Path) -> None:
    run = cluster.finished(chain, {"n": 1}, notify="http://h/").id
    assert short(cluster, run, "http://h/") == short(cluster, run)


def test_a_listener_of_events(tmp_path: Path, chain: Path) -> None:
    with world(tmp_path / "other") as cluster:
        run = cluster.finished(chain, {"n": 1}, notify="http://h/", notify_weblog=True).id
        of_a_step = ["process_submitted", "process_started", "process_completed"]
        found = short(cluster, run, "http://h/")
        assert found == ["started", *of_a_step[:1], *(of_a_step[1:] + of_a_step[:1]) * 2, *of_a_step[1:], "completed"]
        trace = told(cluster, run, "http://h/")[3][1]["trace"]
        assert (trace["name"], trace["status"], trace["exit"], trace["attempt"]) == ("a", "COMPLETED", 0, 1)
        assert short(cluster, run) == []


def test_a_caller_has_his_own_names(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, {"n": 1})
    with cluster.engine.database.begin() as connection:
        statement = text("UPDATE runs SET workflow = 'flow', request = :q WHERE id = :r")
        connection.execute(statement, {"r": run, "q": '{"run_id": "manual__1"}'})
    cluster.drain()
    assert {(p["dag_id"], p["run_id"]) for _, p in told(cluster, run)} == {("flow", "manual__1")}


def test_without_a_listener_nothing_is_asked_or_written(tmp_path: Path, chain: Path) -> None:
    with world(tmp_path / "other") as cluster:
        asked: list[str] = []
        event.listen(cluster.engine.database.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
        run = cluster.finished(chain, {"n": 1}).id
        assert asked and not [one for one in asked if "notices" in one]
        assert told(cluster, run) == []
        assert not [one for one in cluster.sent if one[1] == "notify"]


def test_who_cancels_a_run_need_not_have_the_setting(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, {"n": 1})
    cluster.deliver(cluster.take())
    cluster.workers.append(cluster.worker(notify_url=""))
    assert cancel(cluster.workers[1], run) == "CANCELED"
    assert short(cluster, run) == ["0% failed"]


@pytest.mark.parametrize("key", ["", "k"])
def test_what_was_signed_once_is_to_be_signed_by_all(tmp_path: Path, chain: Path, key: str) -> None:
    with world(tmp_path / "other", notify_url=URL, notify_key=key) as cluster:
        run = cluster.start(chain, {"n": 1})
        cluster.deliver(cluster.take())
        cluster.workers.append(cluster.worker(notify_url="", notify_key=""))
        cancel(cluster.workers[1], run)
        with cluster.engine.database.read() as connection:
            assert [row.signed for row in notices.listing(connection)] == [bool(key)]


@pytest.mark.parametrize("url", ["ftp://h/", "http://me:s3cret@h/", "nonsense"])
def test_a_listener_that_can_not_be_told_is_refused(cluster: World, chain: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="the run's listener") as caught:
        cluster.check(chain, {"n": 1}, notify=url)
    assert "s3cret" not in str(caught.value)


def test_who_asks_from_outside_names_no_listener(cluster: World, chain: Path) -> None:
    with pytest.raises(AccessError, match="can't name a listener"):
        cluster.check(chain, {"n": 1}, notify="http://h/", access={})


def test_what_a_tool_with_a_secret_said_is_not_told(cluster: World, tmp_path: Path) -> None:
    cluster.play = failing("1")
    document = tool("x")
    document["hints"] = {"cwltool:Secrets": {"secrets": ["key"]}}
    document["inputs"] = {**document["inputs"], "key": "string"}
    path = write(tmp_path, {**document, "$namespaces": {"cwltool": "http://commonwl.org/cwltool#"}}, "one.cwl")
    run = cluster.finished(path, {"x": 1, "key": "s3cret-s3cret"}).id
    assert told(cluster, run)[-1][1]["logs"] == {"failed_steps": {}, "previous_steps": {}}
    assert "s3cret" not in str(told(cluster, run))


# --- who sees to it --------------------------------------------------------------------------------


def test_what_is_due_is_asked_for_and_not_again_at_once(cluster: World, chain: Path) -> None:
    run = cluster.finished(chain, {"n": 1}).id
    cluster.sent.clear()
    asked: dict[str, float] = {}
    for _ in range(3):
        remind(cluster.engine, asked)
    assert cluster.sent == [(run, "notify", {})]
    asked[run] -= 60
    remind(cluster.engine, asked)
    assert len(cluster.sent) == 2


def test_without_a_broker_nothing_is_lost(cluster: World, chain: Path) -> None:
    run = cluster.start(chain, {"n": 1})
    cluster.deliver(cluster.take())
    cluster.broker_is_down = True
    cancel(cluster.engine, run)  # there is nothing else to send
    cluster.broker_is_down = False
    assert short(cluster, run)[-1].endswith("failed")
    cluster.sent.clear()
    remind(cluster.engine, {})
    assert cluster.sent == [(run, "notify", {})]


# --- once each -------------------------------------------------------------------------------------


def test_what_is_rolled_back_is_not_told(cluster: World, chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cluster.start(chain, {"n": 1})
    cluster.deliver(cluster.take())
    cluster.deliver(cluster.take())

    def fail(*rest: Any) -> Any:
        raise CeleriacError("the disk is full")

    before = short(cluster, run)
    with monkeypatch.context() as patched:
        patched.setattr("celeriac.journal.outbox.add", fail)
        with pytest.raises(CeleriacError):
            cluster.deliver(cluster.take())
    assert short(cluster, run) == before
    cluster.repair(run)
    assert short(cluster, run).count("a success") == 1


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_messages_each_change_is_told_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("notices")
    with world(home / "home", notify_url=URL) as cluster:
        run = cluster.start(wide(home), {"n": 1, "list": [1, 2, 3]})
        for _ in range(60):
            if not cluster.pending:
                break
            what = data.draw(st.sampled_from(["deliver", "deliver", "lose", "double"]))
            message = cluster.take(data.draw(st.integers(0, len(cluster.pending) - 1)))
            if what != "lose":
                cluster.deliver(message)
            if what == "double":
                cluster.deliver(message)
        cluster.repair(run)
        for task in ("each", "sub", "sub/in", "last"):
            assert statuses(cluster, run, task) == ["running", "success"]
        numbers = [p["progress"] for route, p in told(cluster, run) if route == "progress"]
        assert numbers == sorted(numbers) and numbers.count(100) == 1
        assert short(cluster, run)[-2:] == ["100% success", "results"]
