"""`celeriac cancel`: what waits never starts, what runs is stopped by its workers within seconds."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

from celeriac.cli.look import find
from celeriac.errors import EXIT_FAILED, BrokerUnavailable, UserError

EPILOG = """examples:
  celeriac cancel 4f2a
  celeriac list --state running --json | jq -r '.[].id' | xargs celeriac cancel

To cancel a run twice, or one that has ended, changes nothing and is no error. The broker is not
needed for it, only the journal.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run's id, or the beginning of it")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Cancel each run and print its state; 1 when one of them is not there."""
    from celeriac.settings import Settings

    code = 0
    with closing(runtime.engine(Settings.load())) as engine:
        for given in args.runs:
            try:
                run = find(engine.database, given).id
            except UserError as error:
                print(f"celeriac: error: {error}", file=sys.stderr)
                code = EXIT_FAILED
                continue
            print(run, _cancel(engine, run), flush=True)
    return code


def _cancel(engine: Any, run: str) -> str:
    from celeriac.engine.cancel import cancel

    try:
        return str(cancel(engine, run))
    except BrokerUnavailable as error:
        # it is cancelled all the same: only who waits for its result is told later, by the scan
        print(f"celeriac: warning: {error.message}", file=sys.stderr)
        return str(find(engine.database, run).state)
