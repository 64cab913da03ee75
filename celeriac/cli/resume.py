"""`celeriac resume`: go on with a run whose process, host or broker has died. What is finished stays so."""

from __future__ import annotations

import argparse
from typing import Any

from celeriac.cli.foreground import Foreground, engine_for
from celeriac.cli.look import find, journal
from celeriac.errors import UsageError
from celeriac.resources import QueueLimits
from celeriac.states import RUN_ENDED, RunState

EPILOG = """examples:
  celeriac resume 4f2a
  celeriac list --state running

A run of `celeriac run` goes on here, in the foreground, and its outputs are printed as they would have been.
A run that was handed to workers is theirs: they notice themselves what was lost, and this only has them do so
at once (with --wait the command stays till the end).
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run", metavar="RUN", help="a run's id, or the beginning of it")
    shared(parser)


def shared(parser: argparse.ArgumentParser) -> None:
    """Add the options that `celeriac retry` has too."""
    parser.add_argument("--wait", action="store_true", help="wait for the end and print the outputs")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Resume the run; the exit code is the one that its `celeriac run` would have had."""
    with journal() as (settings, database):
        row = find(database, args.run)
    if row.state in RUN_ENDED and row.state != RunState.SUCCESS:
        raise UsageError(
            f"run {row.id} is {row.state}: it has ended, so there is nothing to go on with",
            hint=f"`celeriac retry {row.id}` does again what failed of it",
        )
    queues = [QueueLimits(**entry) for entry in row.queues]
    with engine_for(runtime, settings, embedded=row.keeper is not None, queues=queues) as foreground:
        return _resume(row.id, args, foreground)


def _resume(run: str, args: argparse.Namespace, foreground: Foreground) -> int:
    from celeriac.engine.resume import resume

    def begin() -> None:
        resume(foreground.engine, run)

    return stay_or_leave(run, begin, args, foreground)


def stay_or_leave(run: str, begin: Any, args: argparse.Namespace, foreground: Foreground) -> int:
    """Begin, and stay till the end where the run is this process's own or that is asked for."""
    if foreground.embedded or args.wait:
        return foreground.follow(run, begin, quiet=args.quiet)
    begin()
    print(run, flush=True)
    return 0
