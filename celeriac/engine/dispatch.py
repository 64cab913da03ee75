"""How attempts go out: a plain step alone, items of a scatter in chords; a run's share first, the rest after it."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from celeriac.journal import attempts, nodes
from celeriac.scheduler.fairness import Width
from celeriac.states import NodeState

if TYPE_CHECKING:
    from celeriac.engine.turn import Turn

#: Lanes of a queue: a worker takes from the first as long as there is something, where the broker can do that.
FIRST, LATER = 0, 1


@dataclass(frozen=True)
class Dispatch:
    """An attempt that is to be queued."""

    path: str
    queue: str
    asked: Mapping[str, Any]  # resources.Ask
    granted: Mapping[str, Any] | None  # resources.Resources; None: it needs no slot
    tool: str | None
    number: int = 1
    scatter: str | None = None  # it goes out in a chord with others of this scatter
    due: float = 0.0  # seconds to wait before it goes out

    def row(self, run: str, lane: int) -> dict[str, Any]:
        """Return the attempt's row."""
        return {
            "id": str(uuid.uuid4()), "run_id": run, "path": self.path, "number": self.number, "queue": self.queue,
            "lane": lane, "batch": None, "asked": self.asked, "granted": self.granted, "tool": self.tool,
            "due": self.due,
        }  # fmt: skip


def lanes(jobs: Sequence[Dispatch], taken: Mapping[str, int], share: int) -> list[int]:
    """Return each job's lane: ``share`` of a run's steps on one queue go first, ``taken`` are there already."""
    count: dict[str, int] = defaultdict(int, taken)
    found = []
    for job in jobs:
        first = count[job.queue] < share
        count[job.queue] += first
        found.append(FIRST if first else LATER)
    return found


Row = dict[str, Any]


def chords(rows: Sequence[tuple[Dispatch, Row]], widths: Mapping[str | None, Width]) -> Iterator[list[list[Row]]]:
    """Yield the bundles of rows that go out together: of one scatter, queue, lane and grant, so many at most."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for job, row in rows:
        groups[job.scatter, row["queue"], row["lane"], json.dumps(row["granted"])].append(row)
    for (scatter, *_), group in groups.items():
        width = widths[scatter]
        for chord in _parts(group, width.chord):
            yield list(_parts(chord, width.bundle))


def _parts(rows: list[Row], size: int) -> Iterator[list[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


# --- within a turn -------------------------------------------------------------------------------


def dispatch(turn: Turn, jobs: Sequence[Dispatch], inputs: Mapping[str, Any] | None = None) -> None:
    """Queue attempts, with the ``inputs`` of nodes that were not queued before."""
    if turn.run.opened is not None:  # its nodes may have had attempts before: go on counting
        had = attempts.numbers(turn.connection, turn.id, [job.path for job in jobs])
        jobs = [replace(job, number=had.get(job.path, 0) + 1) for job in jobs]
    found = _lanes(turn, jobs)
    pairs = [(job, job.row(turn.id, lane)) for job, lane in zip(jobs, found, strict=True)]
    for job, row in pairs:
        if job.scatter is None and not job.due:
            send_alone(turn, row)
    items = [pair for pair in pairs if pair[0].scatter is not None]
    for part in chords(items, _widths(turn, {job.scatter for job, _ in items if job.scatter})):
        _send_together(turn, part)
    rows = [row for _, row in pairs]
    attempts.add(turn.connection, rows)
    if turn.notes is not None:
        turn.notes.queued(row["path"] for row in rows)
    if inputs is None:
        for row in rows:
            nodes.change(turn.connection, turn.id, [row["path"]], NodeState.QUEUED, attempt=row["id"])
        return
    queued = [
        {"run": turn.id, "node": row["path"], "new_attempt": row["id"], "new_inputs": inputs[row["path"]]}
        for row in rows
    ]
    nodes.queue(turn.connection, queued)


def send_alone(turn: Turn, row: Mapping[Any, Any]) -> None:
    """Have one attempt sent alone."""
    shadow = turn.shadow(row["path"])
    turn.message("chain", attempt=row["id"], queue=row["queue"], lane=row["lane"], shadow=shadow)


def _send_together(turn: Turn, bundles: Sequence[Sequence[Row]]) -> None:
    first = bundles[0][0]
    if len(bundles) == len(bundles[0]) == 1:
        send_alone(turn, first)
        return
    batch = str(uuid.uuid4())
    for row in chain.from_iterable(bundles):
        row["batch"] = batch
    names = [[row["id"] for row in bundle] for bundle in bundles]
    shadow = turn.shadow(first["path"])
    turn.message("chord", batch=batch, bundles=names, queue=first["queue"], lane=first["lane"], shadow=shadow)


def _lanes(turn: Turn, jobs: Sequence[Dispatch]) -> list[int]:
    if not turn.engine.fair or not jobs:
        return [FIRST] * len(jobs)
    return lanes(jobs, attempts.in_first_lane(turn.connection, turn.id), turn.engine.settings.first_lane)


def _widths(turn: Turn, scatters: set[str]) -> dict[str | None, Width]:
    known = nodes.seconds(turn.connection, turn.id, scatters) if scatters else {}
    return {path: turn.engine.width(known.get(path)) for path in scatters}
