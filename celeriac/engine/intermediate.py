"""Intermediate outputs: removed when their last reader has ended well, if the run wants that.

Whether files are read still is seen by where they lie: an expression or a subworkflow may hand on what
another step made. What can't be removed now stays for `celeriac clean`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.engine.turn import Ends, Turn
from celeriac.errors import JournalUnavailable
from celeriac.graph.paths import join
from celeriac.job.kept import Fate, Kept, ancestors, pointers
from celeriac.job.place import Place
from celeriac.job.removal import links, reached
from celeriac.journal import intermediate, nodes, runs
from celeriac.scheduler.unread import newly, unread

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)


def remove(engine: Engine, run: str, ended: Sequence[Ends]) -> None:
    """Remove what nobody reads any more since these ends, which are committed; nothing for runs that want it kept."""
    for ends in ended:
        try:
            with engine.database.begin() as connection:
                row = runs.lock(connection, run)
                going = _going(Turn(engine, connection, row), ends) if row is not None else {}
                if going:
                    intermediate.forget(connection, list(going))
        except JournalUnavailable as error:
            log.warning("intermediate outputs of run %s stay: %s", run, error)
            return
        for out in going.values():
            shutil.rmtree(out, ignore_errors=True)


def _going(turn: Turn, ends: Ends) -> dict[str, str]:
    """Return the output directories that nobody reads any more, by attempt."""
    process, connection = turn.graph.at(ends.step), turn.connection
    paths = {join(ends.scope, name): name for name in process.steps or {}}
    states = {paths[path]: state for path, state in nodes.states(connection, turn.id, paths).items()}
    read = newly(process, states, ends.names)
    if not read:
        return {}
    at = {name: path for path, name in paths.items()}
    found = _made(turn, [at[name] for name in read], ends.scope)
    living = nodes.outputs(connection, turn.id, [at[name] for name in states.keys() - unread(process, states)])
    outs = {row.id: str(Place(Path(os.path.realpath(row.directory))).out) for row in found}
    return unneeded(outs, _files(living.values()))


def unneeded(outs: dict[str, str], living: Iterable[str]) -> dict[str, str]:
    """Return those of the output directories that no living file lies in. Pure."""
    kept = Kept(living)
    return {name: out for name, out in outs.items() if kept.fate(out) is Fate.GOES}


def _made(turn: Turn, paths: Sequence[str], scope: str) -> list[Any]:
    """Return the attempts that made the outputs of steps, also those that others made and these hand on."""
    own = intermediate.made(turn.connection, turn.id, paths)
    root = os.path.realpath(turn.engine.directory(turn.id, turn.options))
    outputs = nodes.outputs(turn.connection, turn.id, paths)
    near = {place for path in _files(outputs.values()) if (place := _below(root, path))}
    directory = turn.engine.directory(turn.id, turn.options)
    handed = intermediate.made_in(turn.connection, turn.id, [str(directory / name) for name in near], scope)
    return list({row.id: row for row in [*own, *handed]}.values())


def _below(root: str, path: str) -> str | None:
    """Return the name of the entry of ``root`` that a path lies in."""
    above = next((place for place in ancestors(path) if os.path.dirname(place) == root), None)
    return os.path.basename(above) if above and above != root else None


def _files(values: Iterable[Any]) -> Iterator[str]:
    """Yield all that values point to, by links as well."""
    for value in values:
        for pointer in pointers(value):
            yield from reached(pointer)
            for link in links(pointer.path) if pointer.directory else ():
                yield from reached(link)
