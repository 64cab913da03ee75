"""A prefork child that is told to end: at once while it waits for work, after the task within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from billiard.common import TERM_SIGNAL

from config.child import Child


class Engine:
    """Plays the engine and its leases; says in a pipe what it is told."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()
        self.leases = self

    def say(self, word: str) -> None:
        os.write(self._write, f"{word} ".encode())

    def leave(self) -> None:
        self.say("leave")

    def close(self) -> None:
        self.say("close")

    def heard(self) -> list[str]:
        """Return all words, once the other end is closed."""
        os.close(self._write)
        with os.fdopen(self.read) as file:
            return file.read().split()


def _in_a_child(engine: Engine, act: Callable[[], Any]) -> int:
    """Run in a forked process, in which SIGTERM exits with 9 as Billiard's handler would; return its exit code."""
    pid = os.fork()
    if not pid:
        try:
            signal.signal(TERM_SIGNAL, lambda *_: os._exit(9))
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_within_a_task_it_ends_when_the_task_has(engine: Engine) -> None:
    child = Child(engine, os.getpid())  # type: ignore[arg-type]

    def act() -> None:
        child.begin()
        child.task_begins()
        for _ in range(3):  # the kernel may tell more than once
            signal.raise_signal(TERM_SIGNAL)
        engine.say("goes on")
        child.task_ends()
        engine.say("never said")

    assert _in_a_child(engine, act) == 9
    assert engine.heard() == ["leave", "leave", "leave", "goes", "on"]


def test_between_tasks_it_ends_at_once(engine: Engine) -> None:
    child = Child(engine, os.getpid())  # type: ignore[arg-type]

    def act() -> None:
        child.task_begins()
        child.task_ends()
        signal.raise_signal(TERM_SIGNAL)
        engine.say("never said")

    assert _in_a_child(engine, act) == 9
    assert engine.heard() == []


def test_one_whose_main_died_before_it_could_be_told_ends(engine: Engine) -> None:
    child = Child(engine, main=1)  # type: ignore[arg-type]  # not its parent any more
    assert _in_a_child(engine, child.begin) == os.EX_SOFTWARE
    assert engine.heard() == []


def test_it_says_farewell_at_its_end(engine: Engine) -> None:
    child = Child(engine, os.getpid())  # type: ignore[arg-type]
    assert _in_a_child(engine, child.end) == 0
    assert engine.heard() == ["close"]


def test_the_main_itself_is_left_alone(engine: Engine) -> None:
    before = signal.getsignal(TERM_SIGNAL)
    child = Child(engine, os.getpid())  # type: ignore[arg-type]
    for method in (child.begin, child.task_begins, child.task_ends, child.end):
        method()
        assert signal.getsignal(TERM_SIGNAL) == before
    assert engine.heard() == []
