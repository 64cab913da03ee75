"""`celeriac outputs`: the output object of a run or of one of its steps, as JSON."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import error_of, find, journal, print_json, unknown_step
from celeriac.errors import EXIT_FAILED, CeleriacError
from celeriac.states import NODE_ENDED, RUN_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.journal.database import Database

EPILOG = """examples:
  celeriac outputs 4f2a
  celeriac outputs 4f2a align
  celeriac outputs 4f2a 'align[3]/sort' | jq -r .sorted.path

STEP is a step's path; [3] is the item number 3 of a scatter, counted from 0.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it")
    parser.add_argument("step", metavar="STEP", nargs="?", help="a step, such as align, align[3] or sub/sort")
    parser.add_argument("--json", action="store_true", help="print JSON, which is what it does anyway")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command: 1 when there are no outputs, or only some, since it failed."""
    with journal() as (_, database):
        row = find(database, args.run)
        if args.step is None:
            what, ended, success = f"run {row.id}", row.state in RUN_ENDED, row.state == RunState.SUCCESS
        else:
            row, run = node(database, row.id, args.step), row.id
            # a job's outputs are there before the scheduler has looked at them
            success = row.state in (NodeState.SUCCESS, NodeState.SKIPPED) or _job_done(row)
            what, ended = f"step {args.step} of run {run}", success or row.state in NODE_ENDED
    if not ended:
        raise CeleriacError(
            f"{what} has not ended: it is {row.state}",
            hint=f"`celeriac status --watch {args.run}` waits for the end",
        )
    if row.outputs is not None:
        print_json(_printable(row.outputs) if args.step is not None else row.outputs, indent=4)
    if success:
        return 0
    cause = error_of(row)
    print(f"celeriac: error: {what} is {row.state}" + (f": {cause}" if cause else ""), file=sys.stderr)
    return EXIT_FAILED


def node(database: Database, run: str, path: str) -> Any:
    """Return a run's node of this path; raises :class:`~celeriac.errors.NotFoundError`."""
    from celeriac.journal import nodes

    with database.read() as connection:
        found = nodes.get(connection, run, path)
    if found is None:
        raise unknown_step(database, run, path)
    return found


def _job_done(row: Any) -> bool:
    return row.kind == "job" and row.state == NodeState.QUEUED and row.outputs is not None


def _printable(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return a step's outputs with paths, as a run's are printed."""
    from celeriac.job.publish import printable

    return printable(outputs)
