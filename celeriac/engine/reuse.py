"""What an attempt may take over from earlier ones: found by its key, checked, and then held."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.errors import JournalUnavailable
from celeriac.job.key import Key
from celeriac.job.options import RunOptions
from celeriac.job.reuse import Found
from celeriac.job.whole import broken
from celeriac.journal import digests, reuse
from celeriac.journal.tables import Record
from celeriac.states import RUN_ENDED, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine

log = logging.getLogger(__name__)

#: Seconds for which "nothing" is believed, and runs of which it is remembered.
PAUSE = 5.0
RUNS = 256


class JournalDigests:
    """Keeps digests of large files in the journal; without it, a file is read once more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, path: str, stamp: str) -> str | None:
        """Return the digest of a file that has this stamp, or None."""
        try:
            with self._engine.database.read() as connection:
                return digests.get(connection, self._engine.host, path, stamp)
        except JournalUnavailable as error:
            log.debug("the digest of %s is not known: %s", path, error)
            return None

    def put(self, path: str, stamp: str, digest: str) -> None:
        """Keep a digest."""
        try:
            with self._engine.database.begin() as connection:
                digests.put(connection, self._engine.host, path, stamp, digest)
        except JournalUnavailable as error:
            log.debug("the digest of %s is not kept: %s", path, error)


class Anything:
    """Whether other runs have made anything that may be reused.

    Asked once in a while for each run: a journal that has nothing, as that of most single runs, costs a step nothing.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[bool, float]] = OrderedDict()

    def is_there(self, engine: Engine, run: str) -> bool:
        """Return what was true a few seconds ago at most, or is now."""
        found, until = self._answers.get(run, (False, 0.0))
        if found or time.monotonic() < until:
            return found
        with engine.database.read() as connection:
            found = reuse.anything(connection, run)
        self._answers[run] = found, time.monotonic() + PAUSE
        while len(self._answers) > RUNS:
            self._answers.popitem(last=False)
        return found


def earlier(engine: Engine, claimed: Record) -> Callable[[Key], tuple[Found | None, str]]:
    """Return what finds an equal attempt's outputs for one that this worker has claimed."""

    def find(key: Key) -> tuple[Found | None, str]:
        try:
            return _find(engine, claimed, key)
        except JournalUnavailable as error:  # the tool can run all the same
            log.debug("nobody can tell what was done before: %s", error)
            return None, ""

    return find


def _find(engine: Engine, claimed: Record, key: Key) -> tuple[Found | None, str]:
    if not engine.anything.is_there(engine, claimed.run_id):
        return None, ""
    with engine.database.read() as connection:
        if claimed.number > 1 and reuse.did(connection, claimed.run_id, claimed.path):
            return None, ""
        rows = reuse.candidates(connection, key.name, claimed.run_id, claimed.path)
    remark = ""
    for row in rows:
        if _will_go(row):
            continue
        problem = broken(row.outputs or {}, row.parts or {}, engine.digests)
        if problem:
            remark = remark or f"of the outputs of run {row.run_id} {problem}"
            continue
        with engine.database.begin() as connection:
            taken = reuse.take(connection, claimed.id, engine.owner, row.id, key.name)
        if taken:
            directory = Path(row.directory) if row.directory else None
            return Found(row.outputs, f"run {row.run_id}", row.id, row.exit_code, directory), ""
    return None, remark


def _will_go(row: Record) -> bool:
    """Whether a run is still to end and then to remove its files: to take some would keep them all."""
    return RunState(row.run_state) not in RUN_ENDED and RunOptions.from_json(row.options).cleanup


def release(engine: Engine, run: str) -> bool:
    """Have nobody take a run's outputs any more; False when another run needs their files, which then stay."""
    with engine.database.begin() as connection:
        return reuse.release(connection, run)
