"""The pure parts of `celeriac why`: amounts with their sources, grants, attempts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from celeriac.cli.look import RunFiles
from celeriac.cli.why.ask import Source, amounts, grant_words, sizes
from celeriac.cli.why.tries import data, how, no_more
from celeriac.resources import Ask, QueueLimits, Resources
from celeriac.settings import Settings

DEFAULT = QueueLimits("default", cpus=2, ram=1024)
LARGE = QueueLimits("large", cpus=2, ram=4096)
SILENT = Ask(Resources(1, 256), tmpdir=1024, outdir=1024, silent=True)


def written(cuda: dict[str, Any] | None = None, **resources: Any) -> Source:
    """Return what a document says."""
    return Source(resources, cuda or {}, "hints of the tool", "hints of the tool", "v1.1")


def test_a_silent_document() -> None:
    found = amounts(written(), SILENT)
    assert [one.name for one in found] == ["cpus", "ram", "tmpdir", "outdir"]
    assert {one.source for one in found} == {"the document says nothing: CWL v1.1's default"}
    assert [(one.least, one.most) for one in found] == [(1, None), (256, None), (1024, 1024), (1024, 1024)]


def test_constants_and_expressions_are_told_apart() -> None:
    ask = Ask(Resources(2, 700, 1), cpus=4, ram=700)
    cuda = {"cudaDeviceCountMin": 1, "cudaVersionMin": "11"}
    cpus, ram, gpus, *_ = amounts(written(cuda, coresMin=2, coresMax=4, ramMin="$(inputs.f.size)"), ask)
    assert (cpus.least, cpus.most, cpus.computed) == (2, 4, False)
    assert cpus.source == "coresMin: 2, coresMax: 4 (a constant under hints of the tool)"
    assert ram.source == "ramMin: $(inputs.f.size) (an expression under hints of the tool)" and ram.computed
    assert (gpus.name, gpus.least, gpus.said) == ("gpus", 1, {"cudaDeviceCountMin": 1})


def test_what_is_not_evaluated_yet_has_no_numbers() -> None:
    assert all(one.least is None for one in amounts(written(ramMin="$(1)"), None))


@pytest.mark.parametrize(
    ("ask", "granted", "limited", "expected"),
    [
        (SILENT, Resources(2, 1024), True, "2 CPUs, 1024 MiB: the queue's limit, as the document names no most"),
        (
            Ask(Resources(1, 500), cpus=1, ram=9999), Resources(1, 1024), True,
            "1 CPU, 1024 MiB: of CPUs the most that it asks for, of memory the queue's limit",
        ),
        (SILENT, Resources(1, 256), False,
         "1 CPU, 256 MiB: the least that it asks for, since the queue default is the whole host"),
    ],
)  # fmt: skip
def test_why_so_much_is_granted(ask: Ask, granted: Resources, limited: bool, expected: str) -> None:
    assert grant_words(ask, DEFAULT, granted, limited) == expected


def test_sizes_of_inputs() -> None:
    file = {"class": "File", "size": 10}
    inputs = {
        "reads": [file, file],
        "odd": {"class": "File"},
        "nested": {"a": [{"b": file}]},
        "n": 3,
        "d": {"class": "Directory", "listing": [file]},
    }
    assert sizes(inputs) == [("nested", 1, 10), ("odd", 1, None), ("reads", 2, 20)]


def attempt(number: int, state: str = "SETTLED", outcome: str | None = None, **rest: Any) -> Any:
    """Return a row of celeriac.journal.views.tried."""
    row = dict.fromkeys(
        ("lane", "tool", "asked", "exit_code", "error", "peak_memory", "cpu_seconds", "started", "ended"), None
    )
    known = {"number": number, "state": state, "outcome": outcome, "queue": "default", "host": "a", "created": 0.0}
    granted = {"cpus": 1, "ram": 1024, "gpus": 0}
    return SimpleNamespace(**{**row, **known, "granted": granted, **rest})


FILES = RunFiles(Settings(home=Path("/home")), SimpleNamespace(id="4f2a", options={}))


def test_where_the_logs_of_each_attempt_are() -> None:
    rows = [
        attempt(1, "LOST", id="11111111-2222-3333", path="align[3]", directory=None, started=1.0),
        attempt(2, id="x", path="align[3]", directory="/scratch/a", started=2.0),
        attempt(3, "QUEUED"),
    ]
    assert [one["logs"] for one in data(rows, FILES)] == [
        "/home/runs/4f2a/align.3-11111111-2222", "/scratch/a", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "queue", "expected"),
    [
        ({"outcome": "outOfMemory"}, "large",
         "attempt 1 ran out of the 1024 MiB that it had: the next larger queue, with all its memory"),
        ({"outcome": "outOfMemory"}, "default",
         "attempt 1 ran out of the 1024 MiB that it had: the same queue, with all its memory"),
        ({"state": "LOST"}, "default", "the worker of attempt 1 on a was lost"),
        ({"outcome": "temporaryFail"}, "default", "attempt 1 ended with an exit code that the tool calls temporary"),
        ({"outcome": "canceled"}, "default", "attempt 1 on a was interrupted: its worker ended"),
        ({"outcome": "handedBack"}, "default", "attempt 1 on a was handed back: its worker was told to end"),
        ({"outcome": "infrastructure", "error": {"message": "no engine\nat all"}}, "default",
         "attempt 1 failed by its worker, engine or host on a: no engine"),
    ],
)  # fmt: skip
def test_why_there_was_another_attempt(before: dict[str, Any], queue: str, expected: str) -> None:
    first, second = data([attempt(1, **before), attempt(2, "RUNNING", queue=queue)], FILES)
    assert first["because"] is None
    assert second["because"] == expected


def test_how_an_attempt_went() -> None:
    rows = [attempt(1, outcome="outOfMemory"), attempt(2, "LOST"), attempt(3, "QUEUED")]
    assert [how(row) for row in data(rows, FILES)] == ["out of memory", "worker lost", "waits"]


def test_why_nothing_follows() -> None:
    ask = Ask(Resources(1, 256))
    top = attempt(2, outcome="outOfMemory", queue="large", granted={"cpus": 2, "ram": 4096, "gpus": 0})
    assert "no queue that holds the step has more than these 4096 MiB" in str(no_more(top, ask, [DEFAULT, LARGE]))
    assert "the memory ladder was off" in str(no_more(attempt(1, outcome="outOfMemory"), ask, [DEFAULT, LARGE]))
    assert no_more(attempt(1, outcome="permanentFail"), ask, [DEFAULT, LARGE]) is None
