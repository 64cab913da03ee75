"""`celeriac why`: why a step was run or reused, why it is on its queue, what it was granted and what came of it."""

from __future__ import annotations

import argparse
from typing import Any

from celeriac.cli.look import find, journal, print_json

EPILOG = """examples:
  celeriac why 4f2a align
  celeriac why 4f2a 'align[3]'
  celeriac why --json 4f2a align | jq '.queues[] | {name, reason}'

STEP is a step's path; [3] is the item number 3 of a scatter, counted from 0. Without it the run has to
be that of a single tool.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run", metavar="RUN", help="the run's id, or the beginning of it")
    parser.add_argument("step", metavar="STEP", nargs="?", default="", help="a step: align, align[3] or sub/sort")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    with journal() as (settings, database):
        row = find(database, args.run)
        from celeriac.cli.why.data import explanation

        found = explanation(database, settings, row, args.step, runtime)
    if args.json:
        print_json(found)
    else:
        from celeriac.cli.why.text import tell

        tell(found)
    return 0
