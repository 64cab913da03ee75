"""`celeriac run`: the CWL runner. Standard output is the output object and nothing else."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from celeriac.cli import options
from celeriac.cli.foreground import Foreground, engine_for

EPILOG = """examples:
  celeriac run workflow.cwl job.yml
  celeriac run --outdir results --on-error continue workflow.cwl job.yml
  celeriac run tool.cwl --message hello
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add(parser)
    looks = parser.add_argument_group("instead of running")
    one = looks.add_mutually_exclusive_group()
    one.add_argument("--validate", action="store_true", help="check the document (and the job, if given)")
    one.add_argument("--print-deps", action="store_true", help="print the files that the document refers to")
    one.add_argument("--print-dot", action="store_true", help="print the document's graph for Graphviz")
    one.add_argument("--make-template", action="store_true", help="print a job file to fill in")
    one.add_argument("--pack", action="store_true", help="print the document with all it refers to as one")
    options.process(parser)


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    for look in ("print_deps", "print_dot", "make_template", "pack"):
        if getattr(args, look):
            from celeriac.document import faces

            return int(getattr(faces, look)(args.document, sys.stdout))
    settings = options.settings_of(args)
    with engine_for(runtime, settings, embedded=runtime.is_embedded(settings)) as foreground:
        return _run(args, settings, foreground)


def _run(args: argparse.Namespace, settings: Any, foreground: Foreground) -> int:
    """Check, submit, wait, print."""
    from celeriac.cli.start import prepare

    engine = foreground.engine
    outdir = os.path.abspath(args.outdir or os.getcwd())
    submission = prepare(engine, args, settings, outdir=outdir, cleanup=True)
    if submission is None or args.validate:
        if args.validate:
            print(f"{args.document} is valid CWL.")
        return 0
    from celeriac.engine.advance import advance
    from celeriac.engine.submit import submit

    run, messages = submit(engine, submission)

    def begin() -> None:
        if foreground.embedded:
            advance(engine, run)
            engine.drop(messages)
        else:
            engine.send(run, messages)

    return foreground.follow(run, begin, quiet=args.quiet)
