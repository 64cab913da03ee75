"""Progress lines: never more than two a second, and few for a wide scatter."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celeriac.cli.lines import PARTS, PAUSE, SILENCE, WIDTH, Lines
from celeriac.cli.moment import Moment
from celeriac.cli.steps import view
from celeriac.states import RunState


def row(step: str, kind: str, state: str, number: int = 1, **rest: Any) -> SimpleNamespace:
    """Return a row of celeriac.journal.views.steps."""
    names = ("remaining", "started", "ended", "queue", "other_queue", "host", "other_host", "exit_code", "reused")
    known = {"created": 0.0, "step": step, "kind": kind, "state": state, "number": number}
    return SimpleNamespace(**{**dict.fromkeys(names), **known, **rest})


def moment(now: float, *rows: SimpleNamespace) -> Moment:
    """Return a run at a time."""
    return Moment("abc", "wf.cwl", RunState.RUNNING, 0.0, 0.0, None, now, None, view(rows))


class Log:
    """Lines, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.times: list[float] = []
        self.stream = io.StringIO()
        self.lines = Lines(self.stream, lambda: self.now)

    def show(self, now: float, *rows: SimpleNamespace) -> list[str]:
        """Show a moment; return the lines that it gave."""
        self.now = now
        start = self.stream.tell()
        self.lines.show(moment(now, *rows))
        found = self.stream.getvalue()[start:].splitlines()
        self.times += [now] * len(found)
        return found


def test_a_step_is_told_at_start_and_end() -> None:
    log = Log()
    assert log.show(0.0, row("a", "job", "QUEUED")) == []
    assert log.show(1.0, row("a", "job", "RUNNING", started=1.0)) == ["[1.0s] a runs"]
    assert log.show(2.0, row("a", "job", "RUNNING", started=1.0)) == []
    assert log.show(3.0, row("a", "job", "SUCCESS", started=1.0, ended=3.0)) == ["[3.0s] a done (2.0s)"]
    assert log.show(4.0, row("a", "job", "SUCCESS", started=1.0, ended=3.0)) == []


def test_ends_have_their_words() -> None:
    log = Log()
    rows = [
        row("a", "job", "FAILED", exit_code=3, started=1.0, ended=2.0),
        row("b", "job", "UPSTREAM_FAILED"),
        row("c", "job", "SKIPPED"),
        row("d", "job", "CANCELED"),
    ]
    assert log.show(2.0, *rows) == ["[2.0s] a failed (exit code 3); b not run; c skipped; d cancelled"]


def test_news_that_came_too_early_are_told_later() -> None:
    log = Log()
    assert len(log.show(0.0, row("a", "job", "RUNNING", started=0.0))) == 1
    both = (row("a", "job", "SUCCESS", started=0.0, ended=0.1), row("b", "job", "RUNNING", started=0.1))
    assert log.show(PAUSE / 2, *both) == []
    assert log.show(PAUSE, *both) == ["[0.5s] a done (0.1s); b runs"]


def test_much_news_is_one_line() -> None:
    steps = [row(f"s{n}", "job", "RUNNING", started=0.0) for n in range(200)]
    (line,) = Log().show(0.0, *steps)
    assert line.count(" runs") == WIDTH
    assert line.endswith(f"and {200 - WIDTH} more")


def test_silence_is_broken() -> None:
    log = Log()
    step = row("a", "job", "RUNNING", started=0.0)
    log.show(0.0, step)
    assert log.show(SILENCE - 1, step) == []
    assert log.show(SILENCE + 1, step) == ["[31s] a runs for 31s"]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.booleans())
def test_a_wide_scatter_gives_few_lines_and_never_too_many_a_second(strides: list[int], failing: bool) -> None:
    log, done, now = Log(), 0, 0.0
    for stride in strides:
        now += 0.25
        done = min(10_000, done + stride)
        failed = done // 100 if failing else 0
        log.show(
            now,
            row("s", "scatter", "RUNNING"),
            row("s", "job", "SUCCESS", done - failed, started=0.0),
            row("s", "job", "FAILED", failed),
            row("s", "job", "RUNNING", 8, started=now),
            row("s", "job", "PENDING", 10_000 - done),
        )
    assert len(log.times) <= PARTS + 3
    assert all(later - earlier >= PAUSE for earlier, later in zip(log.times, log.times[1:], strict=False))
