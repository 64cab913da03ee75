"""How a worker ends: what each signal does, and what is said and done after it."""

from __future__ import annotations

import logging
import signal
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.ending import Ending, Stage, step

HANG = 30.0
TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT


def _after(*numbers: signal.Signals) -> Stage:
    stage = Stage.RUNS
    for number in numbers:
        stage = step(stage, number)
    return stage


@pytest.mark.parametrize(
    ("numbers", "stage"),
    [
        ((TERM,), Stage.DRAINS),
        ((TERM, TERM, TERM), Stage.DRAINS),
        ((INT,), Stage.DRAINS),
        ((INT, INT), Stage.HANDS_BACK),
        ((INT, INT, INT), Stage.COLD),
        ((TERM, INT), Stage.HANDS_BACK),
        ((QUIT,), Stage.HANDS_BACK),
        ((TERM, QUIT), Stage.HANDS_BACK),
        ((QUIT, TERM), Stage.HANDS_BACK),
        ((QUIT, QUIT), Stage.COLD),
        ((QUIT, INT), Stage.COLD),
    ],
)
def test_what_signals_lead_to(numbers: tuple[signal.Signals, ...], stage: Stage) -> None:
    assert _after(*numbers) is stage


@given(st.lists(st.sampled_from([TERM, INT, QUIT]), min_size=1))
def test_there_is_no_way_back_and_nothing_is_left_out(numbers: list[signal.Signals]) -> None:
    stages = [_after(*numbers[:count]) for count in range(len(numbers) + 1)]
    assert all(after >= before for before, after in pairwise(stages))
    assert stages[-1] >= Stage.DRAINS
    for before, after in pairwise(stages):
        assert after is not Stage.COLD or before >= Stage.HANDS_BACK, "the cold end is never the first"


class Told:
    """Plays the leases and Celery's two ways to end."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.back = threading.Event()

    def take_no_more(self) -> None:
        self.words.append("no more")

    def hand_back(self) -> None:
        self.words.append("back")
        self.back.set()

    def warm(self, code: int) -> None:
        self.words.append(f"warm {code}")

    def cold(self) -> None:
        self.words.append("cold")


def _ending(told: Told, seconds: float = 3600.0, running: int = 1) -> Ending:
    return Ending(told, lambda: running, seconds, warm=told.warm, cold=told.cold)


def test_sigterm_drains_and_then_hands_back() -> None:
    told = Told()
    _ending(told, 0.05).on_signal(TERM)
    assert told.words[:2] == ["no more", "warm 0"]
    assert told.back.wait(HANG)


def test_steps_that_have_time_are_left_alone() -> None:
    told = Told()
    ending = _ending(told)
    ending.on_signal(TERM)
    ending.begin()
    assert told.words == ["no more", "warm 0"]
    ending.on_signal(QUIT)
    assert told.words == ["no more", "warm 0", "no more", "back"]


def test_the_second_quit_is_celery_s() -> None:
    told = Told()
    ending = _ending(told)
    ending.on_signal(QUIT)
    assert told.words == ["no more", "back", "warm 1"]
    ending.on_signal(QUIT)
    assert told.words[-1] == "cold"
    ending.on_signal(QUIT)
    assert told.words.count("cold") == 2, "from now on Celery decides"


def test_an_end_that_no_signal_brought_drains_too() -> None:
    told = Told()
    ending = _ending(told, 0.05)
    ending.begin()
    ending.begin()
    assert told.back.wait(HANG) and told.words.count("no more") == 1
    assert "warm 0" not in told.words, "Celery is at it already"


@pytest.mark.parametrize(
    ("running", "said"), [(0, "no step runs"), (1, "1 step runs"), (3, "3 steps run: they have 60")]
)
def test_it_says_what_happens(running: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heard = threading.Event()

    class Hear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if said in record.getMessage():
                heard.set()

    handler = Hear()
    logging.getLogger("config.ending").addHandler(handler)
    try:
        _ending(Told(), 60.0, running).on_signal(TERM)
        assert heard.wait(HANG)
    finally:
        logging.getLogger("config.ending").removeHandler(handler)
