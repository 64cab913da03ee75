"""`celeriac run`: the CWL runner. Standard output is the output object and nothing else."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext
from typing import Any

from celeriac.cli import options
from celeriac.errors import EXIT_FAILED, CeleriacError, from_dict

EPILOG = """examples:
  celeriac run workflow.cwl job.yml
  celeriac run --outdir results --on-error continue workflow.cwl job.yml
  celeriac run tool.cwl --message hello
"""

#: How long a broken-off run may take to stop its tools, in seconds.
STOP = 15.0


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
    embedded = runtime.is_embedded(settings)
    finished = threading.Event()
    engine_or = runtime.embedded(settings, lambda run: finished.set()) if embedded else _remote(runtime, settings)
    with engine_or as engine:
        return Command(args, settings, engine, embedded, finished).run()


@contextmanager
def _remote(runtime: Any, settings: Any) -> Any:
    runtime.reach_broker(settings)  # before anything is written that would run later, unasked
    engine = runtime.engine(settings)
    try:
        yield engine
    finally:
        engine.close()


class Command:
    """One call of `celeriac run`."""

    def __init__(self, args: Any, settings: Any, engine: Any, embedded: bool, finished: threading.Event) -> None:
        self.args = args
        self.settings = settings
        self.engine = engine
        self.embedded = embedded
        self.finished = finished

    def run(self) -> int:
        """Check, submit, wait, print."""
        from celeriac.cli.start import prepare

        outdir = os.path.abspath(self.args.outdir or os.getcwd())
        submission = prepare(self.engine, self.args, self.settings, outdir=outdir, cleanup=True)
        if submission is None or self.args.validate:
            if self.args.validate:
                print(f"{self.args.document} is valid CWL.")
            return 0
        from celeriac.engine.advance import advance
        from celeriac.engine.submit import submit

        run, messages = submit(self.engine, submission)
        with _interruptible(self):
            try:
                if self.embedded:
                    advance(self.engine, run)
                    self.engine.drop(messages)
                else:
                    self.engine.send(run, messages)
                with self._progress(run):
                    self._wait(run)
            except (KeyboardInterrupt, Terminated) as stop:
                return self._break_off(run, stop)
        return self._report(run)

    def _progress(self, run: str) -> Any:
        if self.args.quiet:
            return nullcontext()
        from celeriac.cli.progress import Progress

        return Progress(self.engine, run, sys.stderr)

    def _wait(self, run: str) -> None:
        """Wait for the end: told by the engine in this process, else asking the journal."""
        from celeriac.engine.finish import ended

        pause = 0.02
        while not ended(self._state(run)):
            self.finished.wait(1.0 if self.embedded else pause)
            pause = min(0.25, pause * 1.5)

    def _state(self, run: str) -> str:
        from celeriac.journal import runs

        with self.engine.database.read() as connection:
            row = runs.short(connection, run)
        assert row is not None
        return str(row.state)

    def _break_off(self, run: str, stop: BaseException) -> int:
        from celeriac.engine.cancel import cancel
        from celeriac.engine.finish import ended

        print("celeriac: stopping the run ...", file=sys.stderr)
        cancel(self.engine, run, "the command was interrupted")
        if self.embedded:
            self.engine.leases.stop_all("the command was interrupted")
        clock = threading.Event()
        for _ in range(int(STOP * 10)):
            if ended(self._state(run)):
                break
            clock.wait(0.1)
        return 143 if isinstance(stop, Terminated) else 130

    def _report(self, run: str) -> int:
        from celeriac.journal import runs

        with self.engine.database.read() as connection:
            row = runs.result(connection, run)
        assert row is not None
        if row.outputs is not None:
            json.dump(row.outputs, sys.stdout, indent=4, ensure_ascii=False)
            sys.stdout.write("\n")
            sys.stdout.flush()
        if row.state == "SUCCESS":
            return 0
        error = from_dict(row.error) if row.error else CeleriacError(f"the run is {row.state}")
        told = self._explained(error, row)
        print(f"celeriac: error: {told}", file=sys.stderr)
        where = self.engine.directory(run, self.engine.options(run, row.options))
        if where.is_dir() and run not in told:
            print(f"  all files of run {run} are in {where}", file=sys.stderr)
        return error.exit_code or EXIT_FAILED

    def _explained(self, error: CeleriacError, row: Any) -> str:
        """Return why the run failed, with what is known of the step that failed."""
        from celeriac.engine.outcome import place_of
        from celeriac.job import failure

        if row.state != "FAILED":
            return str(error)
        with self.engine.database.read() as connection:
            found = failure.find(connection, row.id, row.error)
        return failure.text(error, found, place_of(self.engine, row.id, row.options), row.id)


class Terminated(BaseException):
    """SIGTERM arrived."""


@contextmanager
def _interruptible(command: Command) -> Any:
    def stop(number: int, frame: Any) -> None:
        raise Terminated

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
