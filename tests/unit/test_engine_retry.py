"""Pauses between attempts, attempts of dead processes, and steps that say how often they are tried."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from celeriac.container.process_name import is_dead, process_name
from celeriac.engine.due import wake
from celeriac.engine.lost import lose
from celeriac.errors import DocumentError, EngineUnreachable
from celeriac.journal import attempts as tries
from celeriac.journal.tables import attempts
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, world


class Tools:
    """Fails ``times`` times with a code, or by the engine's fault, then adds."""

    def __init__(self) -> None:
        self.times = 0
        self.code = 75
        self.engine = False

    def __call__(self, words: Sequence[str]) -> Mapping[str, Any]:
        if self.times > 0:
            self.times -= 1
            if self.engine:
                raise EngineUnreachable("the engine does not answer")
            raise Exit(self.code)
        return {"out": sum(map(int, words))}


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def cluster(tmp_path: Path, tools: Tools) -> Iterator[World]:
    with world(tmp_path / "home", tools, retry_delay=10.0) as made:
        yield made


def one(directory: Path, **fields: Any) -> Path:
    """Write a workflow of one step whose tool has more fields."""
    steps = {"s": step(tool("a", **fields), {"a": "n"})}
    return write(directory, workflow({"n": "int"}, steps, {"o": output("s/out")}))


def hinted(directory: Path, hint: Mapping[str, Any]) -> Path:
    """Write the same with a `celeriac:retry` hint."""
    path = one(directory, hints={"celeriac:retry": hint})
    text = path.read_text().replace("{", '{"$namespaces": {"celeriac": "urn:celeriac:"}, ', 1)
    path.write_text(text)
    return path


def causes(cluster: World, run: str) -> list[tuple[int, str | None]]:
    return [(a.number, a.cause) for a in cluster.attempts(run, "s")]


def over(cluster: World, run: str) -> None:
    """Let pauses pass till the run has ended."""
    for _ in range(20):
        cluster.drain()
        if cluster.over(run):
            return
        cluster.age(1000.0)
        wake(cluster.engine)
    raise AssertionError(cluster.table(run))


# --- pauses ------------------------------------------------------------------------------------------


def test_the_next_attempt_waits_and_nobody_can_claim_it_before(cluster: World, tmp_path: Path, tools: Tools) -> None:
    tools.times, tools.engine = 1, True
    run = cluster.start(one(tmp_path), {"n": 1})
    cluster.drain()
    second = cluster.attempts(run, "s")[1]
    assert (second.state, cluster.run(run).state) == ("QUEUED", "RUNNING")
    assert second.due == pytest.approx(second.created + 10.0, abs=1e-3)
    wake(cluster.engine)
    cluster.scan(5)  # a lost message? no: it was not sent
    assert not cluster.pending
    with cluster.engine.database.begin() as connection:
        assert tries.claim(connection, [second.id], "o", "h", 60.0) == []
    cluster.age(6)
    wake(cluster.engine)
    wake(cluster.engine)
    assert [message.name for message in cluster.pending] == [second.id], "sent once"
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 1}


def test_pauses_grow_and_each_cause_has_its_own_count(cluster: World, tmp_path: Path, tools: Tools) -> None:
    tools.times, tools.engine = 2, True
    run = cluster.start(one(tmp_path, temporaryFailCodes=[75]), {"n": 1})
    pauses = []
    for engine in (True, True, False, False):
        tools.times, tools.engine = 1, engine
        cluster.drain()
        last = cluster.attempts(run, "s")[-1]
        pauses.append(round(last.due - last.created))
        cluster.age(1000.0)
        wake(cluster.engine)
    tools.times = 0
    cluster.drain()
    assert pauses == [10, 20, 10, 20]
    assert cluster.run(run).state == "SUCCESS"
    assert causes(cluster, run) == [(1, "engine"), (2, "engine"), (3, "temporary"), (4, "temporary"), (5, None)]


def test_a_cancelled_run_forgets_what_waits(cluster: World, tmp_path: Path, tools: Tools) -> None:
    from celeriac.engine.cancel import cancel

    tools.times, tools.engine = 1, True
    run = cluster.start(one(tmp_path), {"n": 1})
    cluster.drain()
    assert cancel(cluster.engine, run) == "CANCELED"
    cluster.age(1000.0)
    wake(cluster.engine)
    assert not cluster.pending
    assert [a.state for a in cluster.attempts(run, "s")] == ["SETTLED", "CANCELED"]


# --- what a step says --------------------------------------------------------------------------------


def test_a_temporary_failure_is_tried_three_times(cluster: World, tmp_path: Path, tools: Tools) -> None:
    tools.times = 9
    run = cluster.start(one(tmp_path, temporaryFailCodes=[75]), {"n": 1})
    over(cluster, run)
    assert cluster.run(run).state == "FAILED"
    assert causes(cluster, run) == [(1, "temporary"), (2, "temporary"), (3, "temporary")]


def test_a_permanent_one_is_not(cluster: World, tmp_path: Path, tools: Tools) -> None:
    tools.times = 9
    run = cluster.start(one(tmp_path), {"n": 1})
    over(cluster, run)
    assert causes(cluster, run) == [(1, "tool")]


def test_a_step_says_how_often_when_and_for_which_exit_codes(cluster: World, tmp_path: Path, tools: Tools) -> None:
    tools.times = 9
    run = cluster.start(hinted(tmp_path, {"attempts": 5, "delay": 2, "exitCodes": [75]}), {"n": 1})
    cluster.drain()
    second = cluster.attempts(run, "s")[1]
    assert second.due == pytest.approx(second.created + 2.0, abs=1e-3)
    over(cluster, run)
    assert causes(cluster, run) == [(number, "temporary") for number in range(1, 6)]


@pytest.mark.parametrize(
    ("hint", "named"),
    [
        ({"attempts": 0}, "'attempts' is 0"),
        ({"attempts": "many"}, "'attempts' is 'many'"),
        ({"delay": -1}, "'delay' is -1"),
        ({"exitCodes": 75}, "'exitCodes' is 75"),
        ({"tries": 3}, "'tries' is no field"),
    ],
)
def test_a_hint_that_can_not_be_understood_is_named(
    cluster: World, tmp_path: Path, hint: Mapping[str, Any], named: str
) -> None:
    with pytest.raises(DocumentError, match=named):
        cluster.check(hinted(tmp_path, hint), {"n": 1})


# --- dead processes ----------------------------------------------------------------------------------


def test_a_process_is_known_to_live_to_be_dead_or_not_known() -> None:
    own = process_name("here", "token")
    assert is_dead(own, "here") is False
    assert is_dead(own, "there") is None
    assert is_dead("here:1:what", "here") is None
    code = "from celeriac.container.process_name import process_name; print(process_name('here', 'token'))"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert is_dead(gone.strip(), "here") is True
    boot = own.split(".")[1]
    assert is_dead(own.replace(f".{boot}.", ".01234567."), "here") is True, "the host was started anew"
    reborn = own.rsplit(".", 2)
    assert is_dead(f"{reborn[0]}.1.{reborn[2]}", "here") is True, "its number is another's now"
    assert is_dead(f"{reborn[0]}.{reborn[1]}.1", "here") is None, "another namespace"
    assert len(process_name("h" * 64, "12345678")) <= 128


def _claimed_by(cluster: World, attempt: str, owner: str) -> None:
    with cluster.engine.database.begin() as connection:
        assert tries.claim(connection, [attempt], owner, cluster.engine.host, 1000.0)


def test_a_dead_process_is_not_waited_for(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(one(tmp_path), {"n": 1})
    cluster.deliver(cluster.take())
    message = cluster.take()
    dead = cluster.engine.owner.replace(f":{os.getpid()}:", ":0:")
    _claimed_by(cluster, message.name, dead)
    assert lose(cluster.engine, message.name)
    assert not lose(cluster.engine, message.name), "once"
    assert [(a.state, a.cause) for a in cluster.attempts(run, "s")] == [("LOST", "lost"), ("QUEUED", None)]
    cluster.age(1000.0)
    wake(cluster.engine)
    cluster.drain()
    assert cluster.run(run).outputs == {"o": 1}


def test_a_living_one_is(cluster: World, tmp_path: Path) -> None:
    run = cluster.start(one(tmp_path), {"n": 1})
    cluster.deliver(cluster.take())
    message = cluster.take()
    assert not lose(cluster.engine, message.name), "nobody has claimed it"
    _claimed_by(cluster, message.name, cluster.engine.owner)
    assert not lose(cluster.engine, message.name)
    with cluster.engine.database.begin() as connection:
        connection.execute(update(attempts).values(owner="elsewhere:1:x.y.z.n"))
    assert not lose(cluster.engine, message.name)
    assert not lose(cluster.engine, "there is none of that name")
    assert [a.state for a in cluster.attempts(run, "s")] == ["RUNNING"]
