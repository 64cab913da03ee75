"""Find runs by the names that clients gave them: their ids in the journal follow from those."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Connection

from celeriac.api.dags import names
from celeriac.journal import runs
from celeriac.journal.tables import Record

#: Runs that may have one name, one after the other.
MOST = 1000
#: Numbers that are asked for together: nearly all names have one run, and those that have more have a few.
_PORTIONS = ((0, 8), (8, 64), (64, MOST))


def identifiers(workflow: str, run: str) -> Iterator[str]:
    """Yield the ids that runs of a name may have, in the order in which they are taken."""
    return (names.identifier(workflow, run, number) for number in range(MOST))


def find(connection: Connection, run: str, workflows: Collection[str]) -> list[Record]:
    """Return the runs of a name, whoever's, of these workflows, newest first.

    A run takes the lowest number that is free. Those of runs that were cleaned are free again, so what a portion lacks
    tells little: a name is given up at a portion that has nothing of it, but the only name not at the first.
    """
    found: list[Record] = []
    left = set(workflows)
    for first, last in _PORTIONS:
        ids = {names.identifier(name, run, number): name for name in left for number in range(first, last)}
        rows = runs.of_ids(connection, list(ids))
        found += rows
        if found or len(left) > 1:
            left = {ids[row.id] for row in rows}
    return sorted(found, key=lambda row: (row.created, row.id), reverse=True)
