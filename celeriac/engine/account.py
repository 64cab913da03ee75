"""What a run's last notice tells beside its state: when its steps ran, and what those that failed said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from celeriac.graph.model import Process
from celeriac.graph.paths import address, join
from celeriac.job.account import tail
from celeriac.job.place import Place
from celeriac.journal.tables import Record
from celeriac.version import VERSION

#: Failed steps whose last words are told, and steps before each.
STEPS = 10


def statistics(run: Record, parts: Sequence[Record], outputs: Any) -> dict[str, Any]:
    """Return when a run and its steps ran; times are UTC in ISO 8601. What is not measured is None."""
    total = {
        "tmp_folder_size": None,
        "outputs_folder_size": None if outputs is None else sum(_sizes(outputs)),
        "start_date": _iso(run.started),
        "end_date": _iso(run.ended),
    }
    steps = {
        row.path: {"tmp_folder_size": None, "start_date": _iso(_start(row)), "end_date": _iso(row.ended)}
        for row in parts
        if row.path or row.kind == "job"
    }
    return {"version": VERSION, "total": total, "steps": steps}


def trace(row: Record) -> dict[str, Any]:
    """Return a step's fields of Nextflow's trace that are known here; times are milliseconds since the epoch."""
    known = {
        "attempt": row.number,
        "exit": row.exit_code,
        "submit": _milliseconds(row.created),
        "start": _milliseconds(_start(row)),
        "complete": _milliseconds(row.ended),
    }
    return {name: value for name, value in known.items() if value is not None}


def logs(
    graph: Process, failed: Sequence[Record], parts: Sequence[Record], root: Callable[[str, str, str | None], Any]
) -> dict[str, Any]:
    """Return the last words of the steps that failed and of those before; ``root`` tells an attempt's directory."""
    known = {row.path: row for row in parts}
    before: dict[str, str] = {}
    for row in failed:
        for path in _needed(graph, row.path)[:STEPS]:
            if path in known and path not in before:
                before[path] = _words(known[path], root)
    return {"failed_steps": {row.path: _words(row, root) for row in failed}, "previous_steps": before}


def _needed(graph: Process, path: str) -> list[str]:
    scope, _, name = path.partition("[")[0].rpartition("/")
    steps = graph.at(address(scope)).steps or {}
    return [join(scope, other) for other in sorted(steps[name].requires)] if name in steps else []


def _words(row: Record, root: Callable[[str, str, str | None], Any]) -> str:
    """Return the end of what a step said on standard error; what can't be read any more is empty."""
    if row.attempt is None or row.started is None:
        return ""
    named = ((row.error or {}).get("fields") or {}).get("stderr")
    return tail(Path(named) if named else Place(Path(root(row.path, row.attempt, row.directory))).stderr)


def _start(row: Record) -> float | None:
    return row.started if row.kind == "job" else row.created  # type: ignore[no-any-return]


def _sizes(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        for part in value:
            yield from _sizes(part)
    elif isinstance(value, dict):
        if value.get("class") == "File" and isinstance(value.get("size"), int):
            yield value["size"]
        for part in value.values():
            yield from _sizes(part)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _iso(seconds: float | None) -> str | None:
    from datetime import UTC, datetime

    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
