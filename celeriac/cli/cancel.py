"""`celeriac cancel`: what waits never starts, what runs is stopped by its workers within seconds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from celeriac.cli.look import find
from celeriac.errors import EXIT_FAILED, BrokerUnavailable, NotFoundError, UsageError, UserError

EPILOG = """examples:
  celeriac cancel 4f2a
  celeriac cancel 4f2a --step 'align[3]'
  celeriac list --state running --json | jq -r '.[].id' | xargs celeriac cancel

To cancel twice, or what has ended or is not known, changes nothing and is no error. A step that is cancelled
has failed; what becomes of its run then is what the run's --on-error says. The broker is not needed for it,
only the journal.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run's id, or the beginning of it")
    parser.add_argument("--step", metavar="STEP", help="cancel this step alone (align, align/sort, align[3])")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Cancel each run, or the step of one, and print its state; 1 when a beginning of an id has several meanings."""
    from celeriac.settings import Settings

    if args.step is not None and len(args.runs) > 1:
        raise UsageError(f"--step is about one run, but {len(args.runs)} are named", hint="give the run of that step")
    code = 0
    with closing(runtime.engine(Settings.load())) as engine:
        for given in args.runs:
            try:
                run = find(engine.database, given).id
            except NotFoundError as error:
                print(f"celeriac: warning: {error}", file=sys.stderr)
                continue
            except UserError as error:
                print(f"celeriac: error: {error}", file=sys.stderr)
                code = EXIT_FAILED
                continue
            (_cancel_run if args.step is None else _cancel_step)(engine, run, args.step)
    return code


def _cancel_run(engine: Any, run: str, step: None) -> None:
    from celeriac.engine.cancel import cancel

    state = _told_later(lambda: cancel(engine, run))
    print(run, state or find(engine.database, run).state, flush=True)


def _cancel_step(engine: Any, run: str, step: str) -> None:
    from celeriac.cli.look import unknown_step
    from celeriac.engine.stop import cancel_step

    state = _told_later(lambda: cancel_step(engine, run, step) or "unknown")
    if state == "unknown":
        print(f"celeriac: warning: {unknown_step(engine.database, run, step)}", file=sys.stderr)
    else:
        print(f"{run} {step}", state or "FAILED", flush=True)


def _told_later(cancel: Callable[[], str | None]) -> str | None:
    """Return what ``cancel`` does; None without a broker: it is cancelled, but who waits for it is told by the scan."""
    try:
        return cancel()
    except BrokerUnavailable as error:
        print(f"celeriac: warning: {error.message}", file=sys.stderr)
        return None
