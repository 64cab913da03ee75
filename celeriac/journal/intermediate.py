"""Attempts whose outputs may no longer be needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, exists, or_, select, update

from celeriac.journal.paths import below
from celeriac.journal.tables import Record, attempts, nodes
from celeriac.states import Outcome

_taker = attempts.alias("taker")

#: Nobody has taken its outputs over, or needs them still.
_OWN = ~exists().where(_taker.c.reused == attempts.c.id, _taker.c.key.is_not(None))
_MADE = (
    select(attempts.c.id, attempts.c.directory)
    .select_from(nodes.join(attempts, attempts.c.id == nodes.c.attempt))
    .where(
        nodes.c.kind == "job",
        attempts.c.outcome == Outcome.SUCCESS,
        attempts.c.reused.is_(None),
        attempts.c.directory.is_not(None),
        _OWN,
    )
)


def made(connection: Connection, run: str, paths: Iterable[str]) -> Sequence[Record]:
    """Return the attempts that made the outputs of the steps at ``paths``, in their parts too: id and directory."""
    places = [or_(nodes.c.path == path, below(nodes.c.path, path)) for path in paths]
    return connection.execute(_MADE.where(nodes.c.run_id == run, or_(*places))).all()


def made_in(connection: Connection, run: str, directories: Iterable[str], scope: str) -> Sequence[Record]:
    """Return such attempts by their directories, if they are parts of the workflow at ``scope``."""
    inside = (nodes.c.run_id == run, below(nodes.c.path, scope), attempts.c.directory.in_(list(directories)))
    return connection.execute(_MADE.where(*inside)).all()


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Have nobody take over the outputs of attempts any more."""
    connection.execute(update(attempts).where(attempts.c.id.in_(ids)).values(key=None))
