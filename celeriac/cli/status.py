"""`celeriac status`: how far a run is, step by step."""

from __future__ import annotations

import argparse
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import RunFiles, find, journal, print_json
from celeriac.errors import EXIT_FAILED, NotFoundError

if TYPE_CHECKING:
    from celeriac.cli.moment import Moment

EPILOG = """examples:
  celeriac status 4f2a
  celeriac status --watch 4f2a
  celeriac status --json --all 4f2a | jq '.items[] | select(.state == "FAILED") | .logs'

A run is named by its id, or by the beginning of its id.
"""

#: Failures that are told of without --all.
FAILURES = 5
#: Seconds between two looks of --watch.
PAUSE = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it")
    parser.add_argument("--all", "-a", action="store_true", help="show every job, also the items of scatters")
    parser.add_argument("--watch", "-w", action="store_true", help="go on until the run ends; 1 if it fails")
    parser.add_argument("--json", action="store_true", help="print JSON; with --watch, a line at each change")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command: 0 whatever the run's state is, but with --watch 1 when it did not succeed."""
    with journal() as (settings, database):
        row = find(database, args.run)
        status = Status(database, RunFiles(settings, row), args.all)
        if args.watch:
            status.watch(args.json)
        seen = status.look()
        if not args.watch or not args.json:
            status.show(seen, args.json)
    return EXIT_FAILED if args.watch and seen.state != "SUCCESS" else 0


class Status:
    """One call of the command."""

    def __init__(self, database: Any, files: RunFiles, everything: bool) -> None:
        self.database = database
        self.files = files
        self.everything = everything

    def look(self) -> Moment:
        """Look at the run now."""
        from celeriac.cli.moment import moment

        seen = moment(self.database, self.files.run, None if self.everything else FAILURES)
        if seen is None:
            raise NotFoundError(f"run {self.files.run} is no longer in the journal")
        return seen

    def show(self, seen: Moment, as_json: bool) -> None:
        """Print the run at a moment."""
        if as_json:
            print_json(self._data(seen))
        else:
            from celeriac.cli.status_text import tell
            from celeriac.job import failure

            with self.database.read() as connection:
                first = failure.find(connection, seen.run, seen.error) if seen.failures else None
            tell(seen, self.files, self._jobs(), first)

    def watch(self, as_json: bool) -> None:
        """Show the run until it ends."""
        if as_json:
            return self._stream()
        from celeriac.cli.progress import Progress

        with Progress(SimpleNamespace(database=self.database), self.files.run, sys.stdout, summary=False):
            while not ((seen := self.look()).over or seen.interrupted):
                time.sleep(PAUSE)

    def _stream(self) -> None:
        """Print a line at each change."""
        told: dict[str, Any] | None = None
        while True:
            seen = self.look()
            data = self._data(seen)
            if (news := _timeless(data)) != told:
                print_json(data, indent=None)
                told = news
            if seen.over or seen.interrupted:
                return
            time.sleep(PAUSE)

    def _data(self, seen: Moment) -> dict[str, Any]:
        from celeriac.cli.status_json import data

        return data(seen, self.files, self._jobs())

    def _jobs(self) -> Any:
        from celeriac.journal import views

        if not self.everything:
            return None
        with self.database.read() as connection:
            return views.jobs(connection, self.files.run)


def _timeless(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what changes all the time."""
    return {**data, "seconds": None, "steps": [{**step, "seconds": None} for step in data["steps"]]}
