"""`celeriac submit`: hand a run to the workers. Standard output is the run's id and nothing else."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from typing import Any

from celeriac.cli import options
from celeriac.errors import BrokerUnavailable, UsageError

EPILOG = """examples:
  celeriac submit workflow.cwl job.yml
  celeriac submit --outdir results tool.cwl --message hello
  run=$(celeriac submit workflow.cwl job.yml) && celeriac status --watch $run

The document and its inputs are checked here, before anything is written. When the command returns,
the run is in the journal and will be run, whatever happens to this machine or to the broker.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add(parser)
    options.process(parser)


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    from celeriac.settings import Settings

    settings = Settings.load()
    # first of all: with no broker, nothing is loaded and nothing written
    runtime.reach_broker(settings)
    with closing(runtime.engine(settings)) as engine:
        print(_submit(engine, args, settings), flush=True)
    return 0


def _submit(engine: Any, args: argparse.Namespace, settings: Any) -> str:
    from celeriac.cli.start import prepare
    from celeriac.engine.submit import submit

    outdir = os.path.abspath(args.outdir) if args.outdir else None
    submission = prepare(engine, args, settings, outdir=outdir, cleanup=False)
    if submission is None:
        raise UsageError("there is nothing to submit")
    run, messages = submit(engine, submission)
    try:
        engine.send(run, messages)
    except BrokerUnavailable as error:
        # it is durable all the same: a worker's scan finds what was not sent
        print(
            f"celeriac: warning: run {run} is written, but {error.message}\n"
            "  it starts when the broker and a worker are there again",
            file=sys.stderr,
        )
    return run
