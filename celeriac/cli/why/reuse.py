"""Why a job was run, or whose outputs it took: its key against that of the run before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celeriac.cli.look import iso, when
from celeriac.journal import reuse
from celeriac.states import AttemptState, Outcome

#: What is told of a part whose name alone says too little.
_WORDS = {
    "input": "input '{}'",
    "requirement": "{}",
    "environment": "the environment variable {}",
    "option": "the option {}",
}
_WHOLE = {"image": "the image", "runtime": "what it is granted"}
#: Changed parts that are told; the rest is counted.
TOLD = 6


def data(connection: Any, run: Any, tries: Sequence[Any]) -> dict[str, Any] | None:
    """Return what there is to say of the last attempt; None: it has not ended, or is an expression."""
    last = tries[-1] if tries else None
    if last is None or last.parts is None:
        return None
    made = reuse.origin(connection, last.reused) if last.reused else None
    earlier = None if made else reuse.before(connection, run.id, last.path, last.tool or "", run.created)
    parts = [] if earlier is None else changed(earlier.parts, last.parts)
    return {
        "reused": last.reused,
        "from": None if made is None else _named(made),
        "compared": None if earlier is None else _named(earlier),
        "changed": parts,
        "text": _text(last, run, made, earlier, parts, again=_again(tries)),
    }


def _named(row: Any) -> dict[str, Any]:
    return {"run": row.run_id, "step": row.path, "ended": iso(row.ended)}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of the parts of a key that differ: those of the document first."""
    names = [name for name in before.keys() | now.keys() if name and not name.startswith("output.")]
    return sorted((name for name in names if before.get(name) != now.get(name)), key=_rank)


_ORDER = ("tool", "requirement", "image", "input")


def _rank(name: str) -> tuple[int, str]:
    kind = name.partition(".")[0]
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER), name


def words(part: str) -> str:
    """Return a part of a key as people call it."""
    kind, _, name = part.partition(".")
    return _WHOLE.get(part) or (_WORDS[kind].format(name) if kind in _WORDS else part)


def _text(last: Any, run: Any, made: Any, earlier: Any, parts: Sequence[str], *, again: bool) -> str:
    if last.reused:
        if made is None:
            return f"it was reused from attempt {last.reused}, which is no longer in the journal"
        where = f"attempt {made.number} of {made.path}" if made.path else f"attempt {made.number}"
        return f"it was not run: reused from {where} of run {made.run_id} ({when(made.ended)})"
    if last.outcome == Outcome.SUCCESS and last.exit_code is None and run.options.get("cachedir"):
        return f"it was not run: its outputs come from the cache directory {run.options['cachedir']}"
    remark = last.parts.get("")
    if remark and set(last.parts) == {""}:
        return f"it ran; {remark}"
    if again:
        return "it ran, since it had been done in this run and was to be done again"
    if remark:
        return f"it ran, since {remark}"
    if earlier is None:
        return "it ran, since it was never done before: no earlier run has this tool at this step"
    return f"it ran, since {_since(last, earlier, parts)}"


def _since(last: Any, earlier: Any, parts: Sequence[str]) -> str:
    against = f"run {earlier.run_id}"
    if set(earlier.parts) <= {""}:
        return f"{against} can't be compared: {earlier.parts.get('') or 'it has no key'}"
    if parts:
        told = [words(part) for part in parts[:TOLD]]
        told += [f"{len(parts) - TOLD} more"] if len(parts) > TOLD else []
        listed = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
        return f"{listed} changed (against {against})"
    if earlier.outcome is not None and earlier.outcome != Outcome.SUCCESS:
        return f"{against}, which did the same, did not succeed with it"
    if earlier.state in (AttemptState.RUNNING, AttemptState.QUEUED) or (earlier.ended or 0) > last.started:
        return f"{against} was doing the same at that time"
    if earlier.key is None:
        return f"{against}, which did the same, keeps its files no longer"
    return f"what {against} made had been taken by another job of this run"


def _again(tries: Sequence[Any]) -> bool:
    return any(one.outcome == Outcome.SUCCESS for one in tries[:-1])
