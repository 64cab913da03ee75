"""Progress as short lines, for logs and files: one line says all that is new, at most two a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from celeriac.cli.look import between, duration
from celeriac.cli.steps import StepView
from celeriac.states import NodeState

if TYPE_CHECKING:
    from celeriac.cli.moment import Moment

#: Seconds between two lines at least, and after how many silent ones a line says what runs.
PAUSE = 0.5
SILENCE = 30.0
#: A step of many jobs is told of this many times in equal parts, and at its start, first failure and end.
PARTS = 10
#: News in one line; the rest is counted.
WIDTH = 6

_WORDS = {
    NodeState.SUCCESS: "done",
    NodeState.SKIPPED: "skipped",
    NodeState.FAILED: "failed",
    NodeState.CANCELED: "cancelled",
    NodeState.UPSTREAM_FAILED: "not run",
}


class Lines:
    """Writes lines to a stream that is no terminal."""

    def __init__(self, stream: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._told: dict[str, object] = {}  # step -> what was last told of it
        self._last: float | None = None

    def show(self, seen: Moment) -> None:
        """Write a line, if there is news and the last line was a while ago."""
        since = None if self._last is None else self._clock() - self._last
        if since is not None and since < PAUSE:
            return
        news = list(self._news(seen))
        if not news and since is not None and since >= SILENCE:
            news = list(_running(seen))
        if not news:
            return
        self._last = self._clock()
        more = [f"and {len(news) - WIDTH} more"] if len(news) > WIDTH else []
        text = "; ".join(news[:WIDTH] + more)
        print(f"[{duration(seen.seconds)}] {text}", file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is left open."""

    def _news(self, seen: Moment) -> Iterator[str]:
        for step in seen.view.steps:
            if step.kind == "workflow":
                continue  # its steps speak for it
            mark = _mark(step)
            if mark is not None and self._told.get(step.step) != mark:
                self._told[step.step] = mark
                yield _sentence(step, seen)


def _mark(step: StepView) -> object:
    """Return what has to change before a step is told of again; None while there is nothing to tell."""
    if step.over:
        return step.state
    if step.single:
        return "running" if step.running else None
    if not step.running and not step.done and not step.failed:
        return None
    return step.done * PARTS // max(1, step.total), step.failed > 0


def _sentence(step: StepView, seen: Moment) -> str:
    name = step.step or seen.name
    took = duration(between(step.started, step.ended))
    if step.single:
        if not step.over:
            return f"{name} runs"
        remark = ("reused" if step.reused else took) if step.state is NodeState.SUCCESS else ""
        if step.state is NodeState.FAILED and step.exit_code is not None:
            remark = f"exit code {step.exit_code}"
        return f"{name} {_WORDS[step.state]}" + (f" ({remark})" if remark else "")
    counts = count(step)
    if not step.over:
        return f"{name} {counts}"
    return f"{name} {_WORDS[step.state]}: {counts}" + (f" ({took})" if took else "")


def count(step: StepView) -> str:
    """Return how far a step of many jobs is: 3/20, 2 running, 1 failed."""
    parts = [f"{step.done}/{step.total}"]
    for state, word in ((NodeState.RUNNING, "running"), (NodeState.FAILED, "failed"), *_REST):
        number = step.states.get(state, 0)
        if number:
            parts.append(f"{number} {word}")
    parts += [f"{step.reused} reused"] if step.reused else []
    return ", ".join(parts)


_REST = ((NodeState.CANCELED, "cancelled"), (NodeState.UPSTREAM_FAILED, "not run"), (NodeState.SKIPPED, "skipped"))


def _running(seen: Moment) -> Iterator[str]:
    for step in seen.view.steps:
        if step.running and step.jobs:
            since = f"for {duration(between(step.running_since, seen.now))}"
            yield f"{step.step or seen.name} runs {since}" if step.single else f"{step.step} {count(step)} {since}"
