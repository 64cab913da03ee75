"""`celeriac logs`: what the tools of a run printed, also while they run."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import RunFiles, find, journal, unknown_step
from celeriac.cli.tail import Lines, Records, Tail, Writer, copy
from celeriac.errors import EXIT_FAILED, NotFoundError, UsageError
from celeriac.states import RUN_ENDED, AttemptState

if TYPE_CHECKING:
    from celeriac.journal.database import Database

EPILOG = """examples:
  celeriac logs 4f2a
  celeriac logs --follow 4f2a
  celeriac logs --stderr 4f2a 'align[3]'
  celeriac logs --attempt 1 4f2a 'align[3]'

Each line begins with its step, unless there is only one. What a tool writes to a file of its own
(`stdout: counts.txt` in its CWL) is an output, not a log.
"""

#: Seconds between two looks of --follow.
PAUSE = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it")
    parser.add_argument("step", metavar="STEP", nargs="?", help="a step, such as align, align[3] or sub/sort")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the run ends")
    parser.add_argument("--attempt", metavar="N", type=int, help="only attempts of this number, counted from 1")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--stdout", action="store_const", const=("stdout",), dest="streams", help="standard output only")
    one.add_argument("--stderr", action="store_const", const=("stderr",), dest="streams", help="standard error only")
    parser.add_argument("--json", action="store_true", help="print an object of JSON a line")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command: 1 when logs were expected here and are gone."""
    if args.attempt is not None and args.attempt < 1:
        raise UsageError(f"--attempt is {args.attempt}: a number above 0 was expected")
    with journal() as (settings, database):
        row = find(database, args.run)
        if args.step is not None:
            check_step(database, row.id, args.step)
        logs = Logs(database, RunFiles(settings, row), args)
        logs.follow() if args.follow else logs.show()
    if args.attempt is not None and not logs.found and not args.follow:
        raise logs.no_attempt(args.attempt)
    return logs.complain()


def check_step(database: Database, run: str, path: str) -> None:
    """Raise :class:`~celeriac.errors.NotFoundError` when no step or job of a run has this path."""
    from celeriac.journal import views

    with database.read() as connection:
        known = views.exists(connection, run, path)
    if not known:
        raise unknown_step(database, run, path)


class Logs:
    """One call of the command."""

    def __init__(self, database: Database, files: RunFiles, args: argparse.Namespace) -> None:
        self.database = database
        self.files = files
        self.step: str | None = args.step
        self.streams: tuple[str, ...] = args.streams or ("stdout", "stderr")
        self.json: bool = args.json
        self.attempt: int | None = args.attempt
        self.found = 0  # attempts that were asked for
        self.missing: dict[Path, str] = {}  # directory of an attempt -> its host
        self.seen: set[str] = set()
        self.last: float | None = None  # when the newest attempt that was seen started

    def show(self) -> None:
        """Print what is there now."""
        tries = self._new()
        single = len(tries) == 1
        for attempt in tries:
            for stream, path in self._paths(attempt):
                copy(path, self._writer(attempt, stream, single))

    def follow(self) -> None:
        """Print what is there and what comes, until the run ends."""
        single = self._is_job()
        open_tails: dict[str, list[Tail]] = {}
        while True:
            ended = self._ended()  # asked before the files are read: then nothing is missed
            for attempt in self._new():
                open_tails[attempt.id] = [
                    Tail(path, self._writer(attempt, stream, single)) for stream, path in self._paths(attempt)
                ]
            over = self._over(open_tails)
            for identifier, tails in list(open_tails.items()):
                for tail in tails:
                    tail.read(final=ended or identifier in over)
                if identifier in over:
                    del open_tails[identifier]
            if ended:
                return
            time.sleep(PAUSE)

    def complain(self) -> int:
        """Say what was not there, if anything; returns the exit code."""
        if not self.missing:
            return 0
        first, host = next(iter(self.missing.items()))
        more = f" and {len(self.missing) - 1} more" if len(self.missing) > 1 else ""
        why = (
            "`celeriac run` removes them when it has succeeded, unless --leave-tmpdir is given"
            if self.files.options.cleanup
            else f"were they removed, or does host {host} keep them where this one can't see them?"
        )
        print(f"celeriac: error: logs are gone: {first}{more}\n  {why}", file=sys.stderr)
        return EXIT_FAILED

    def no_attempt(self, number: int) -> NotFoundError:
        """Return the error for a number that no attempt has."""
        what = f"step {self.step} of run {self.files.run}" if self.step else f"run {self.files.run}"
        hint = f"`celeriac why {self.files.run} {self.step or 'STEP'}` lists the attempts"
        return NotFoundError(f"{what} has no attempt {number} that has begun", hint=hint, run=self.files.run)

    def _new(self) -> list[Any]:
        """Return the attempts that have started since the last call."""
        from celeriac.journal import views

        with self.database.read() as connection:
            rows = views.tries(connection, self.files.run, after=self.last)
        found = [row for row in rows if row.id not in self.seen]
        self.seen.update(row.id for row in found)
        self.last = rows[-1].started if rows else self.last
        wanted = [row for row in found if self._wants(row)]
        self.found += len(wanted)
        return wanted

    def _wants(self, row: Any) -> bool:
        if self.attempt is not None and row.number != self.attempt:
            return False
        return self.step is None or _within(row.path, self.step)

    def _over(self, identifiers: Any) -> set[str]:
        from celeriac.journal import views

        with self.database.read() as connection:
            rows = views.tries(connection, self.files.run, ids=identifiers)
        return {row.id for row in rows if row.state != AttemptState.RUNNING}

    def _ended(self) -> bool:
        from celeriac.journal import views

        with self.database.read() as connection:
            row = views.run(connection, self.files.run)
        return row is None or row.state in RUN_ENDED

    def _is_job(self) -> bool:
        from celeriac.journal import nodes

        with self.database.read() as connection:
            node = nodes.get(connection, self.files.run, self.step or "")
        return node is not None and node.kind == "job"

    def _paths(self, attempt: Any) -> list[tuple[str, Path]]:
        place = self.files.of_attempt(attempt.path, attempt.id, attempt.directory)
        # only a tool that has run leaves logs: an expression has none
        if attempt.exit_code is not None and not place.root.is_dir():
            self.missing[place.root] = attempt.host
        return [(stream, getattr(place, stream)) for stream in self.streams]

    def _writer(self, attempt: Any, stream: str, single: bool) -> Writer:
        out = sys.stdout.buffer
        if self.json:
            return Records(out, {"path": attempt.path, "attempt": attempt.number, "stream": stream})
        if single:
            return Writer(out)
        again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
        return Lines(out, f"{attempt.path}{again} | " if attempt.path or again else "")


def _within(path: str, wanted: str) -> bool:
    """Whether a node's path is ``align[3]``, of the step ``align``, or inside either."""
    plain = re.sub(r"\[\d+\]", "", path)
    return wanted in (path, plain) or path.startswith(wanted + "/") or plain.startswith(wanted + "/")
