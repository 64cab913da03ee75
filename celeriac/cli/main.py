"""`celeriac COMMAND`: finds the command, runs it, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Protocol

import celeriac
from celeriac.cli import options
from celeriac.errors import EXIT_FAILED, CeleriacError, UsageError


class Runtime(Protocol):
    """What only the application has, not the client library (``config/main.py``)."""

    def embedded(self, settings: Any, on_end: Any, queues: Any = None) -> AbstractContextManager[Any]:
        """Return an engine with a worker of its own (Embedded); ``queues``: those of a run submitted before."""

    def is_embedded(self, settings: Any) -> bool:
        """Whether `celeriac run` works alone rather than with the workers of a broker."""

    def engine(self, settings: Any) -> Any:
        """Return an engine that publishes to the broker's workers."""

    def queues(self, settings: Any) -> tuple[Any, Sequence[Any]]:
        """Return the queue file that is used here, and its queues."""

    def check_queues(self, path: Any) -> Sequence[Any]:
        """Return the queues of a file; raises :class:`~celeriac.errors.QueueFileError`."""

    def reach_broker(self, settings: Any) -> None:
        """Return when the broker answers; raises :class:`~celeriac.errors.BrokerUnavailable`."""

    def depths(self, settings: Any, names: Iterable[str]) -> Mapping[str, Any]:
        """Return what waits in the broker's queues and who serves them; raises as :meth:`reach_broker`."""

    def holds(self, budget: Any, queue: Any) -> int:
        """Return how many steps that use all of a queue's limits a host's budget holds at once."""


#: command -> what it does. Each is the module celeriac.cli.COMMAND (`-` is `_` there) with `arguments(parser)` and
#: `main(args, runtime) -> exit code`.
COMMANDS = {
    "run": "run a CWL document here and print its outputs",
    "submit": "hand a CWL document to the workers and print the run's id",
    "status": "show how far a run is, step by step",
    "outputs": "print the outputs of a run or of one of its steps",
    "logs": "show what the tools of a run printed",
    "list": "list the runs",
    "cancel": "cancel a run or a step: its tools are stopped, what waits never starts",
    "resume": "go on with a run whose process or host has died",
    "retry": "do again what failed of a run, or a step and all that depends on it",
    "clean": "remove what ended runs left on disk, except their outputs",
    "api": "serve runs over HTTP: GA4GH WES, and the routes of CWL-Airflow",
    "api-keys": "say who may call `celeriac api`",
    "trigger": "start a run of `celeriac api` by the routes of CWL-Airflow",
    "why": "explain why a step is on the queue that it is on",
    "notify": "show what listeners were not told yet, tell them, or listen",
    "queues": "show the queues, their limits and who serves them",
    "completion": "print what your shell needs to complete celeriac's commands",
}

EPILOG = """examples:
  celeriac run workflow.cwl job.yml
  celeriac run --outdir out tool.cwl --message hello
  celeriac submit workflow.cwl job.yml
"""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of ours: one message and exit code 1, as for all mistakes."""

    def error(self, message: str) -> NoReturn:
        """Raise :class:`~celeriac.errors.UsageError`."""
        raise UsageError(message, hint=f"`{self.prog} --help` shows what there is")


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only ``command``'s own options are loaded, or all without one."""
    made = Parser(
        prog="celeriac",
        description="Run Common Workflow Language workflows on Celery.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"celeriac {celeriac.__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        module = importlib.import_module(_module(name)) if command in (None, name) else None
        sub = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # a document's input `--n` must not be taken for an option that begins so
        )
        if module is not None:
            module.arguments(sub)
    return made


def _module(command: str) -> str:
    return f"celeriac.cli.{command.replace('-', '_')}"


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command; returns the exit code."""
    try:
        return _main(argv, runtime)
    finally:
        _let_go_of_stderr()


def _let_go_of_stderr() -> None:
    """Flush standard error; where that fails (a full disk), Python would exit with 120 whatever we say."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w")


def _main(argv: Sequence[str], runtime: Runtime) -> int:
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions, by argcomplete's protocol
        from celeriac.cli.completion import answer

        answer(parser())
    command = next((word for word in argv if not word.startswith("-")), "")
    chosen = parser(command if command in COMMANDS else "-")
    if not argv:
        chosen.print_help(sys.stderr)
        return EXIT_FAILED
    debug = False
    try:
        args, unknown = chosen.parse_known_args(argv)
        if unknown:
            hint = f"`celeriac {args.command} --help` shows what there is"
            raise UsageError(f"`celeriac {args.command}` does not know {' '.join(unknown)}", hint=hint)
        args = _late(args)
        debug = bool(getattr(args, "debug", False))
        _logging(debug, bool(getattr(args, "quiet", False)))
        module = importlib.import_module(_module(args.command))
        code = int(module.main(args, runtime))
        sys.stdout.flush()  # here, where a reader that went away is no surprise
        return code
    except CeleriacError as error:
        if debug:
            logging.getLogger("celeriac").error("the error's origin", exc_info=error)
        print(f"celeriac: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("celeriac: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output went away: no message, and none at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.filename:
            print(f"celeriac: error: {error.filename}: {error.strerror}", file=sys.stderr)
            return EXIT_FAILED
        print(
            f"celeriac: internal error: {type(error).__name__}: {error}\n"
            "  this is a bug in Celeriac; --debug shows where it happened",
            file=sys.stderr,
        )
        return EXIT_FAILED


def _late(args: argparse.Namespace) -> argparse.Namespace:
    """Take our own options that follow a job file (`run wf.cwl job.yml --outdir out`).

    What follows the document itself is the document's: it may have an input called `outdir`.
    """
    words = getattr(args, "job", None)
    if words and (words[0] == "-" or not words[0].startswith("-")):
        late = Parser(prog=f"celeriac {args.command}", add_help=False, allow_abbrev=False)
        options.add(late)
        _, flags = late.parse_known_args(words[1:], namespace=args)
        args.job = [words[0], *flags]
    return args


def _logging(debug: bool, quiet: bool) -> None:
    level = logging.DEBUG if debug else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    own = logging.getLogger("celeriac")
    own.setLevel(level)
    for name in ("cwltool", "salad", "cwl_utils"):
        library = logging.getLogger(name)
        # each sets its level and adds a handler when it is imported, which is later than here
        library.disabled = not debug
        library.propagate = False
    logging.getLogger("rdflib").setLevel(logging.INFO if debug else logging.ERROR)
    for name in ("celery", "kombu", "amqp", "docker", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.CRITICAL)
