"""Clean up: remove what ended runs left in their directories, but never what something still points to.

What points to a file is in the journal: outputs of runs, outputs that other runs go on with or may reuse,
inputs of runs that have not ended. What may go is moved aside in the transaction that sees the run ended, so
that nobody opens it meanwhile; it is deleted after that, with nothing locked.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement

from celeriac.job.kept import Kept, Pointer, ancestors, pointers
from celeriac.job.options import RunOptions
from celeriac.job.place import run_directory
from celeriac.job.removal import Freed, links, reached, removable, remove
from celeriac.journal import cleaning, digests, runs
from celeriac.journal.database import Database
from celeriac.journal.tables import Record

#: Directories of this name hold what is being deleted.
ASIDE = ".celeriac-cleaning-"
#: Seconds after which it is forgotten what was read of a large file: it may be gone by then.
DIGESTS = 90 * 24 * 3600.0


@dataclass(frozen=True)
class Wanted:
    """What is to be cleaned."""

    older: float | None = None  # seconds since a run ended
    ids: Sequence[str] | None = None  # these runs; None: all
    forget: bool = False  # the runs' outputs need not be there for others to reuse
    dry_run: bool = False  # remove nothing

    def condition(self) -> ColumnElement[bool]:
        """Return it as a condition on runs."""
        of_age = None if self.older is None else cleaning.older(self.older)
        if self.ids is None:
            assert of_age is not None
            return of_age
        return cleaning.named(self.ids) if of_age is None else cleaning.named(self.ids) & of_age


@dataclass
class Cleaned:
    """What became of one run's directory."""

    run: str
    name: str
    state: str
    ended: float
    directory: Path
    freed: Freed = field(default_factory=Freed)
    stays: int = 0  # files and directories in it that something points to
    forgotten: int = 0  # attempts that nobody can reuse any more
    problem: str | None = None  # why something was left that could have gone


def clean(database: Database, directory: Path, wanted: Wanted) -> Iterator[Cleaned]:
    """Clean the runs that are wanted, the oldest first; ``directory`` holds the runs that named no other place."""
    condition = wanted.condition()
    if not wanted.dry_run:
        with database.begin() as connection:
            digests.forget(connection, DIGESTS)
    with database.read() as connection:
        found = cleaning.ended(connection, condition)
    places = {row.id: _place(directory, row) for row in found}
    if wanted.forget and not wanted.dry_run:
        forgotten = _forget(database, found)
    else:
        forgotten = dict.fromkeys(places, 0)
    there = [place for place in places.values() if place.is_dir()]
    kept = _kept(database, condition, there, forget=wanted.forget) if there else Kept()
    for row in found:
        one = Cleaned(row.id, row.name, row.state, row.ended, places[row.id], forgotten=forgotten[row.id])
        _clean(database, row, one, kept, wanted)
        yield one


def _place(directory: Path, row: Record) -> Path:
    """Return a run's directory; links above it are resolved, it is none itself or is left alone."""
    found = run_directory(directory, row.id, RunOptions.from_json(row.options))
    return Path(os.path.realpath(found.parent)) / found.name


def unknown(database: Database, directory: Path) -> list[Path]:
    """Return what lies among the runs' directories and belongs to no run in the journal: it is left alone."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    with database.read() as connection:
        known = cleaning.known(connection, names)
    return [directory / name for name in names if name not in known and not name.startswith(ASIDE)]


# --- what stays ----------------------------------------------------------------------------------


def _kept(database: Database, condition: ColumnElement[bool], there: Sequence[Path], *, forget: bool) -> Kept:
    with database.read() as connection:
        final = _files(cleaning.published(connection))
        made = _files(cleaning.made(connection, condition, forget=forget))
        paths = chain(_reached(final, inside=False), _reached(made, inside=True))
        return Kept(_in(there, paths))


def _files(values: Iterator[Any]) -> Iterator[Pointer]:
    for value in values:
        yield from pointers(value)


def _reached(found: Iterator[Pointer], *, inside: bool) -> Iterator[str]:
    """Yield what is pointed to; with what links ``inside`` directories lead to: published ones have no such."""
    for pointer in found:
        yield from reached(pointer)
        if inside and pointer.directory:
            for link in links(pointer.path):
                yield from reached(link)


def _in(directories: Sequence[Path], paths: Iterator[str]) -> Iterator[str]:
    """Yield those paths that lie in one of the directories: all others can't be removed anyway."""
    wanted = {str(directory) for directory in directories}
    return (path for path in paths if any(above in wanted for above in ancestors(path)))


# --- what goes -----------------------------------------------------------------------------------


def _forget(database: Database, found: Sequence[Record]) -> Mapping[str, int]:
    """Have nobody reuse what the runs made, before anybody relies on that."""
    forgotten = {}
    for row in found:
        with database.begin() as connection:
            locked = runs.lock(connection, row.id)
            same = locked is not None and locked.state == row.state
            forgotten[row.id] = cleaning.forget(connection, row.id) if same else 0
    return forgotten


def _clean(database: Database, row: Record, one: Cleaned, kept: Kept, wanted: Wanted) -> None:
    root = str(one.directory)
    if os.path.islink(root):
        one.problem = f"{root} is a link, which Celeriac did not make"
        return
    one.stays = kept.count(root)
    if wanted.dry_run:
        for path in removable(root, kept):
            one.freed.add(path)
        if wanted.forget:
            with database.read() as connection:
                one.forgotten = cleaning.reusable(connection, row.id)
        return
    aside = one.directory.parent / f"{ASIDE}{row.id}-{secrets.token_hex(4)}"
    try:
        paths = list(removable(root, kept)) if os.path.isdir(root) else []
        if paths:
            _move(database, row, one, paths, aside)
        _delete(one)
    except OSError as error:
        one.problem = f"{error.filename or root}: {error.strerror}"


def _move(database: Database, row: Record, one: Cleaned, paths: Sequence[str], aside: Path) -> None:
    """Move what may go aside, if the run is still what it was."""
    with database.begin() as connection:
        runs.lock(connection, row.id)
        if cleaning.ended(connection, cleaning.named([row.id])) != [row]:
            one.problem = "it was opened again"
        else:
            cleaning.let_go(connection, row.id)
            aside.mkdir()
            for number, path in enumerate(paths):
                with contextlib.suppress(FileNotFoundError):  # somebody else removes it
                    os.rename(path, aside / str(number))


def _delete(one: Cleaned) -> None:
    """Delete what was moved aside, and what a clean that was killed had moved there."""
    for place in one.directory.parent.glob(f"{ASIDE}{one.run}-*"):
        for path in place.iterdir():
            one.freed.add(str(path))
        remove(str(place))
