"""Reuse in the journal: whose outputs may serve another attempt, and who has taken them.

An attempt that ran has a ``key`` as long as its files are meant to stay. One that took outputs names their
maker in ``reused``, and has the same key as long as its own run needs those files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, exists, select, union_all, update

from celeriac.journal.tables import Record, attempts, nodes, runs
from celeriac.states import AttemptState, Outcome

#: Candidates that are looked at, and rows among which they are looked for: a scatter may have made thousands.
FEW = 3
MANY = 64

_made = attempts.alias("made")  # by running a tool
_taken = attempts.alias("taken")

_OWN = (_made.c.run_id != bindparam("run"), _made.c.reused.is_(None), _made.c.outcome == Outcome.SUCCESS)
_SAME_PATH = (
    select(_made.c.id)
    .where(_made.c.key == bindparam("name"), _made.c.path == bindparam("node"), *_OWN)
    .order_by(_made.c.created.desc())
    .limit(MANY)
    .subquery()
)
_ANY_PATH = select(_made.c.id).where(_made.c.key == bindparam("name")).limit(MANY).subquery()


def _is_taken(original: Any, run: Any) -> ColumnElement[bool]:
    """Whether a run has taken an attempt's outputs already: two of its jobs would become one file."""
    return exists().where(_taken.c.reused == original, _taken.c.run_id == run)


_CANDIDATES = (
    select(
        _made.c.id, _made.c.run_id, _made.c.outputs, _made.c.parts, _made.c.exit_code, _made.c.directory,
        runs.c.state.label("run_state"), runs.c.options,
    )
    .select_from(_made.join(runs, runs.c.id == _made.c.run_id))
    .where(
        _made.c.id.in_(union_all(select(_SAME_PATH.c.id), select(_ANY_PATH.c.id))),
        _made.c.state.in_([AttemptState.REPORTED, AttemptState.SETTLED]),
        *_OWN,
        ~_is_taken(_made.c.id, bindparam("run")),
    )
    .order_by(case((_made.c.path == bindparam("node"), 0), else_=1), _made.c.created.desc())
    .limit(FEW)
)  # fmt: skip


def candidates(connection: Connection, key: str, run: str, path: str) -> Sequence[Record]:
    """Return attempts of other runs that made what this key stands for: at the same path first, newest first."""
    return connection.execute(_CANDIDATES, {"name": key, "run": run, "node": path}).all()


# a range, for which SQLite takes the index; IS NOT NULL would scan all attempts
_ANYTHING = select(_made.c.id).where(_made.c.key > "", *_OWN).limit(1)


def anything(connection: Connection, run: str) -> bool:
    """Whether other runs than this have made anything that may be reused."""
    return connection.execute(_ANYTHING, {"run": run}).first() is not None


def take(connection: Connection, attempt: str, owner: str, original: str, key: str) -> bool:
    """Have an attempt that ``owner`` runs take another's outputs; False when these are no longer to be had."""
    whose = select(attempts.c.run_id).where(attempts.c.id == attempt).scalar_subquery()
    # held until the commit: whoever wants to remove the files comes before it or after it
    held = select(attempts.c.id).where(attempts.c.id == original, attempts.c.key == key).with_for_update()
    if connection.execute(held).first() is None:
        return False
    if connection.execute(select(_is_taken(original, whose))).scalar():
        return False
    statement = update(attempts).where(
        attempts.c.id == attempt, attempts.c.owner == owner, attempts.c.state == AttemptState.RUNNING
    )
    return connection.execute(statement.values(reused=original, key=key)).rowcount == 1


def did(connection: Connection, run: str, path: str) -> bool:
    """Whether an attempt at a node has ended well before: it is done again, since somebody wants that."""
    statement = select(attempts.c.id).where(
        attempts.c.run_id == run, attempts.c.path == path, attempts.c.outcome == Outcome.SUCCESS
    )
    return connection.execute(statement.limit(1)).first() is not None


_LIVE = (AttemptState.RUNNING, AttemptState.REPORTED, AttemptState.SETTLED)
_USED = (
    select(_taken.c.run_id)
    .select_from(_made.join(_taken, _taken.c.reused == _made.c.id))
    .where(
        _made.c.run_id == bindparam("run"),
        _taken.c.run_id != bindparam("run"),
        _taken.c.key.is_not(None),
        _taken.c.state.in_(_LIVE),
    )
    .limit(1)
)


def used_by(connection: Connection, run: str) -> str | None:
    """Return a run that has taken outputs of this one and needs their files; None: there is none."""
    found: str | None = connection.execute(_USED, {"run": run}).scalar()
    return found


def release(connection: Connection, run: str) -> bool:
    """Have nobody take a run's outputs any more, so that its files can go; False when somebody has taken some."""
    named = (attempts.c.run_id == run, attempts.c.key.is_not(None))
    connection.execute(select(attempts.c.id).where(*named).with_for_update()).all()
    if used_by(connection, run) is not None:
        return False
    connection.execute(update(attempts).where(*named).values(key=None))
    return True


# --- for people ----------------------------------------------------------------------------------


def origin(connection: Connection, attempt: str) -> Record | None:
    """Return the run and the path of an attempt, and when it ended."""
    columns = (attempts.c.id, attempts.c.run_id, attempts.c.path, attempts.c.number, attempts.c.ended)
    return connection.execute(select(*columns).where(attempts.c.id == attempt)).first()


def before(connection: Connection, run: str, path: str, tool: str, created: float) -> Record | None:
    """Return the attempt of the newest earlier run that had the same tool at the same path; None: there is none."""
    joined = runs.join(nodes, (nodes.c.run_id == runs.c.id) & (nodes.c.path == path)).join(
        attempts, attempts.c.id == nodes.c.attempt
    )
    statement = (
        select(
            attempts.c.id, attempts.c.run_id, attempts.c.path, attempts.c.key, attempts.c.parts, attempts.c.state,
            attempts.c.outcome, attempts.c.ended, attempts.c.reused,
        )
        .select_from(joined)
        .where(
            runs.c.id != run, runs.c.created < created, attempts.c.tool == tool, attempts.c.parts.is_not(None)
        )
        .order_by(runs.c.created.desc())
        .limit(1)
    )  # fmt: skip
    return connection.execute(statement).first()
