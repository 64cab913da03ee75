"""How attempts go out: a plain step alone, items of a scatter in chords; a run's share first, the rest after it."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from celeriac.resources import Resources

#: Lanes of a queue: a worker takes from the first as long as there is something, where the broker can do that.
FIRST, LATER = 0, 1


@dataclass(frozen=True)
class Dispatch:
    """An attempt that is to be queued."""

    path: str
    queue: str
    asked: Mapping[str, Any]  # resources.Ask
    granted: Mapping[str, Any] | None  # cpus, ram, gpus; None: it needs no slot
    tool: str | None
    number: int = 1
    scatter: str | None = None  # it goes out in a chord with others of this scatter

    def row(self, run: str, lane: int) -> dict[str, Any]:
        """Return the attempt's row."""
        kept = asdict(self)
        del kept["scatter"]
        return {**kept, "id": str(uuid.uuid4()), "run_id": run, "lane": lane, "batch": None}


def amounts(granted: Resources) -> dict[str, Any]:
    """Return what an attempt is granted, for its row."""
    return {"cpus": granted.cpus, "ram": granted.ram, "gpus": granted.gpus}


def lanes(jobs: Sequence[Dispatch], taken: Mapping[str, int], share: int) -> list[int]:
    """Return each job's lane: ``share`` of a run's steps on one queue go first, ``taken`` are there already."""
    count: dict[str, int] = defaultdict(int, taken)
    found = []
    for job in jobs:
        first = count[job.queue] < share
        count[job.queue] += first
        found.append(FIRST if first else LATER)
    return found


def chords(
    rows: Sequence[tuple[Dispatch, dict[str, Any]]], widths: Mapping[str | None, int]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of items that go out together: of one scatter, queue and lane, so many at most."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for job, row in rows:
        groups[job.scatter, row["queue"], row["lane"]].append(row)
    for (scatter, *_), group in groups.items():
        width = widths[scatter]
        for start in range(0, len(group), width):
            yield group[start : start + width]
