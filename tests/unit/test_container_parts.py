"""The parts that runners share: who owns, when to end, one at a time, waking up."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from celeriac.container.base import CancelToken, Command
from celeriac.container.docker.locks import NameLocks
from celeriac.container.docker.outage import FIRST, MOST, Outage
from celeriac.container.ending import PATIENCE, REPEAT, Ending
from celeriac.container.owner import HOST, OWNER, is_dead, owner_labels
from celeriac.container.wakeup import Wakeup
from celeriac.errors import Cancelled, ContainerError, TimeLimitExceeded


def _command(limit: float | None = None) -> Command:
    return Command("name", ("x",), {}, "/", Path("out"), Path("err"), time_limit=limit)


# --- ending ----------------------------------------------------------------------------------------


def test_nothing_is_due_without_a_reason() -> None:
    ending = Ending(_command(), CancelToken(), grace=2)
    ending.started(100)
    assert ending.signal_due(1e9) is None
    assert math.isinf(ending.seconds_left(1e9))
    assert not ending.given_up(1e9)


def test_the_time_limit_then_the_grace_then_again_and_again() -> None:
    ending = Ending(_command(10), CancelToken(), grace=2)
    assert ending.signal_due(1e9) is None, "it has not started"
    ending.started(100)
    assert ending.seconds_left(103) == 7
    assert ending.signal_due(109.9) is None
    assert ending.signal_due(110) == signal.SIGTERM
    assert isinstance(ending.reason, TimeLimitExceeded)
    assert ending.reason.fields["limit"] == 10
    assert ending.seconds_left(110.5) == 1.5
    assert ending.signal_due(111.9) is None
    assert ending.signal_due(112) == signal.SIGKILL
    assert ending.signal_due(112) is None
    assert ending.signal_due(112 + REPEAT) == signal.SIGKILL
    assert not ending.given_up(112)
    assert ending.given_up(112 + PATIENCE)


def test_the_first_reason_counts() -> None:
    token = CancelToken()
    ending = Ending(_command(10), token, grace=2)
    ending.started(0)
    token.cancel("why not")
    assert ending.signal_due(1) == signal.SIGTERM
    assert isinstance(ending.reason, Cancelled)
    assert ending.ask(ContainerError("another"), 2) is None
    ending.signal_due(11)
    assert isinstance(ending.reason, Cancelled)


# --- wakeup ----------------------------------------------------------------------------------------


def test_a_wakeup_rings_at_cancel_and_never_after_its_close() -> None:
    token = CancelToken()
    with Wakeup(token) as wakeup:
        assert not wakeup.wait(0)
        threading.Timer(0.05, token.cancel, ["x"]).start()
        assert wakeup.wait(60)
        assert wakeup.wait(0), "it stays"
    late = CancelToken()
    closed = Wakeup(late)
    closed.close()
    closed._ring()  # a cancel that was on its way
    late.cancel("x")


def test_a_token_that_is_cancelled_already_rings_at_once() -> None:
    token = CancelToken()
    token.cancel("x")
    with Wakeup(token) as wakeup:
        assert wakeup.wait(0)


def test_a_tokens_error_tells_why() -> None:
    token = CancelToken()
    assert not token.wait(0)
    token.cancel("the run was cancelled")
    assert token.wait(60)
    assert "the run was cancelled" in str(token.error("step"))


# --- owner -----------------------------------------------------------------------------------------


def test_this_process_lives_and_a_reaped_one_does_not() -> None:
    code = "from celeriac.container.owner import *; print(owner_labels())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    other = eval(done.stdout)
    assert is_dead(owner_labels()) is False
    assert is_dead(other) is True


def test_a_process_id_used_again_is_another_process() -> None:
    labels = owner_labels()
    pid, start, namespace = labels[OWNER].split(":")
    assert int(pid) == os.getpid()
    assert is_dead({**labels, OWNER: f"{pid}:{int(start) + 1}:{namespace}"}) is True


@pytest.mark.parametrize("change", [{HOST: "another"}, {OWNER: "host:1:token"}, {OWNER: ""}])
def test_a_process_of_elsewhere_cant_be_told(change: dict[str, str]) -> None:
    assert is_dead({**owner_labels(), **change}) is None
    assert is_dead({}) is None


# --- one at a time ---------------------------------------------------------------------------------


def _count_most_at_once(locks: list[NameLocks], names: list[str]) -> int:
    inside, most, guard = 0, 0, threading.Lock()

    def work(lock: NameLocks, name: str) -> None:
        nonlocal inside, most
        with lock.holding(name, CancelToken()):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work, args=pair) for pair in zip(locks, names, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_one_at_a_time_for_a_name_among_threads_and_among_runners(tmp_path: Path) -> None:
    one = NameLocks(None)
    assert _count_most_at_once([one] * 4, ["a"] * 4) == 1
    runners = [NameLocks(tmp_path / "locks") for _ in range(4)]  # as in four processes
    assert _count_most_at_once(runners, ["a"] * 4) == 1


def test_names_do_not_wait_for_each_other(tmp_path: Path) -> None:
    locks = NameLocks(tmp_path)
    with locks.holding("a", CancelToken()), locks.holding("b", CancelToken()):
        pass


@pytest.mark.parametrize("shared", [True, False], ids=["threads", "processes"])
def test_waiting_for_a_lock_can_be_cancelled(tmp_path: Path, shared: bool) -> None:
    first = NameLocks(tmp_path)
    second = first if shared else NameLocks(tmp_path)
    token = CancelToken()
    with first.holding("a", CancelToken()):
        threading.Timer(0.05, token.cancel, ["enough"]).start()
        with pytest.raises(Cancelled), second.holding("a", token):
            pass
    with second.holding("a", CancelToken()):
        pass


# --- an engine's silence ---------------------------------------------------------------------------


def test_an_outage_is_asked_about_less_and_less_often() -> None:
    outage = Outage()
    assert not outage.lasts and outage.seconds(100) == 0
    pauses = [outage.pause(100 + n) for n in range(20)]
    assert pauses == sorted(pauses) and pauses[0] == FIRST and pauses[-1] == MOST
    assert outage.lasts and outage.seconds(110) == 10
    outage.over()
    assert not outage.lasts and outage.pause(200) == FIRST and outage.seconds(201) == 1
