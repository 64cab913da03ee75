"""What is said of a job that was run, and of one that was not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.cli.why import reuse as why
from celeriac.states import AttemptState, Outcome

PARTS = {"tool.arguments": "1", "input.reads": "2", "image": "3"}
PART = st.sampled_from(["tool.arguments", "tool.inputs", "requirement.X", "image", "input.a", "runtime", "option.b"])
KEYS = st.dictionaries(PART, st.sampled_from("12"))


def last(**fields: Any) -> SimpleNamespace:
    """Return the attempt that is explained."""
    known = {
        "path": "align", "tool": "t", "parts": PARTS, "reused": None, "outcome": Outcome.SUCCESS, "exit_code": 0,
        "started": 10.0,
    }  # fmt: skip
    return SimpleNamespace(**{**known, **fields})


def earlier(**fields: Any) -> SimpleNamespace:
    """Return that of the run before."""
    known = {
        "id": "a", "run_id": "before", "path": "align", "key": "k", "parts": PARTS, "number": 1,
        "state": AttemptState.SETTLED, "outcome": Outcome.SUCCESS, "ended": 5.0, "reused": None,
    }  # fmt: skip
    return SimpleNamespace(**{**known, **fields})


def told(
    monkeypatch: pytest.MonkeyPatch, one: Any, before: Any = None, made: Any = None, *others: Any, **options: Any
) -> Any:
    """Return what is said of an attempt."""
    monkeypatch.setattr(why.reuse, "origin", lambda connection, attempt: made)
    monkeypatch.setattr(why.reuse, "before", lambda *words: before)
    found = why.data(None, SimpleNamespace(id="now", created=1.0, options=options), [*others, one])
    return found and found["text"]


@pytest.mark.parametrize(
    ("one", "before", "made", "expected"),
    [
        (last(parts=None), None, None, None),
        (last(), None, None, "it ran, since it was never done before: no earlier run has this tool at this step"),
        (last(reused="a"), None, earlier(), "it was not run: reused from attempt 1 of align of run before ("),
        (last(reused="a"), None, None, "it was reused from attempt a, which is no longer in the journal"),
        (last(parts={"": "reuse is off: --no-reuse"}), earlier(), None, "it ran; reuse is off: --no-reuse"),
        (last(parts={**PARTS, "": "/x is gone"}), earlier(), None, "it ran, since /x is gone"),
        (last(), earlier(parts={**PARTS, "image": "4"}), None, "it ran, since the image changed (against run before)"),
        (
            last(), earlier(parts={"tool.arguments": "2", "input.reads": "3", "image": "3"}), None,
            "it ran, since tool.arguments and input 'reads' changed (against run before)",
        ),
        (last(), earlier(parts={"": "why not"}), None, "it ran, since run before can't be compared: why not"),
        (
            last(), earlier(outcome=Outcome.PERMANENT), None,
            "it ran, since run before, which did the same, did not succeed with it",
        ),
        (last(), earlier(ended=11.0), None, "it ran, since run before was doing the same at that time"),
        (last(), earlier(key=None), None, "it ran, since run before, which did the same, keeps its files no longer"),
        (last(), earlier(), None, "it ran, since what run before made had been taken by another job of this run"),
    ],
)  # fmt: skip
def test_sentences(monkeypatch: pytest.MonkeyPatch, one: Any, before: Any, made: Any, expected: str | None) -> None:
    found = told(monkeypatch, one, before, made)
    assert found is None if expected is None else found.startswith(expected)


def test_a_cache_directory_and_a_step_that_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, last(exit_code=None), cachedir="/c").endswith("come from the cache directory /c")
    assert told(monkeypatch, last(), earlier(), None, last()).endswith("was to be done again")
    assert why.data(None, None, []) is None


@given(before=KEYS, now=KEYS)
def test_what_changed(before: dict[str, str], now: dict[str, str]) -> None:
    names = why.changed({**before, "": "a", "output.x": "1"}, {**now, "": "b"})
    assert set(names) == {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    kinds = [name.partition(".")[0] for name in names]
    assert all("tool" not in kinds[kinds.index("input") :] for kind in kinds if kind == "input")
    assert all(why.words(name) for name in names)


def test_no_more_is_told_than_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"input.{number:02}": "1" for number in range(9)}
    assert "input '04' and 4 more changed" in told(monkeypatch, last(parts=many), earlier(parts={"image": "1"}))
