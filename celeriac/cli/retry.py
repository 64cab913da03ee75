"""`celeriac retry`: open an ended run again. What was done stays, what failed is done again."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from celeriac.cli.foreground import Foreground, engine_for
from celeriac.cli.look import find, journal
from celeriac.cli.resume import shared, stay_or_leave

EPILOG = """examples:
  celeriac retry 4f2a
  celeriac retry 4f2a --from align
  celeriac retry 4f2a --from 'align[17]'

The run keeps its id, its document and its inputs; the queues are those of the queue file as it is now. To
change the document, run it anew: steps that are the same as before take their results from there.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run", metavar="RUN", help="the id of a run that has ended, or the beginning of it")
    parser.add_argument(
        "--from", dest="step", metavar="STEP", default="",
        help="do this step again and all that depends on it, though it succeeded (align, align/sort, align[3])",
    )  # fmt: skip
    shared(parser)


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Open the run again."""
    with journal() as (settings, database):
        row = find(database, args.run)
    with engine_for(runtime, settings, embedded=row.keeper is not None) as foreground:
        return _retry(row.id, args, foreground)


def _retry(run: str, args: argparse.Namespace, foreground: Foreground) -> int:
    from celeriac.engine.reopen import reopen

    def begin() -> None:
        found = reopen(foreground.engine, run, args.step)
        if not args.quiet:
            steps = "1 step" if found.kept == 1 else f"{found.kept} steps"
            print(f"celeriac: {steps} of run {run} need not be done again", file=sys.stderr)
        foreground.engine.send(run, found.messages)

    return stay_or_leave(run, begin, args, foreground)
