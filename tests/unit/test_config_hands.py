"""The processes of an embedded run: those that are idle may go before the command ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.hands import Hands
from tests.unit.engine_harness import world

HANG = 60.0


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    with world(tmp_path / "home", "+".join) as made:
        two = Hands(made.engine)
        two.start(2)
        yield two


def ended(pid: int) -> bool:
    """Return whether a child of this process has ended, and leave it to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def test_who_is_dismissed_ends_and_what_comes_all_the_same_runs_here(hands: Hands) -> None:
    family = [hand.pid for hand in hands._all]
    assert hands.execute(["an attempt that is not there"]).outputs == {}
    assert not any(map(ended, family))
    hands.dismiss()
    until = time.monotonic() + HANG
    while not all(map(ended, family)):
        assert time.monotonic() < until, "they go on"
        time.sleep(0.01)
    assert hands.execute(["an attempt that is not there"]).outputs == {}
    hands.dismiss()
    hands.stop_all("nobody is there to hear it")
    hands.close()
    for pid in family:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, 0)
