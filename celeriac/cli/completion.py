"""`celeriac completion`: what a shell needs to complete commands, options, runs and steps."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from celeriac.errors import CeleriacError

EPILOG = """examples:
  celeriac completion bash > ~/.local/share/bash-completion/completions/celeriac
  celeriac completion zsh > ~/.zfunc/_celeriac
  celeriac completion fish > ~/.config/fish/completions/celeriac.fish
"""

#: Runs that are offered at most, newest first.
LIMIT = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Print the script. It asks `celeriac` itself, so that it never gets old."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["celeriac"], shell=args.shell), end="")
    return 0


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer the shell's question, if argcomplete's script asked one, and exit; else return."""
    import argcomplete

    for action in _actions(parser):
        completer = _COMPLETERS.get(str(action.metavar))
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]  # argcomplete's protocol
    argcomplete.autocomplete(parser, always_complete_options=False)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def _runs(prefix: str, **rest: Any) -> list[str]:
    from celeriac.cli.look import journal
    from celeriac.journal import runs

    try:
        with journal() as (_, database), database.read() as connection:
            found = runs.recent(connection, LIMIT)
    except CeleriacError:
        return []  # a shell shows no errors at TAB
    return [row.id for row in found if row.id.startswith(prefix)]


def _steps(prefix: str, parsed_args: argparse.Namespace, **rest: Any) -> list[str]:
    from celeriac.cli.look import find, journal
    from celeriac.journal import views

    try:
        with journal() as (_, database):
            row = find(database, parsed_args.run)
            with database.read() as connection:
                names = views.step_names(connection, row.id)
    except CeleriacError:
        return []
    return [name for name in names if name.startswith(prefix)]


def _tools(prefix: str, **rest: Any) -> list[str]:
    from celeriac.cli.look import journal
    from celeriac.journal import usage

    try:
        with journal() as (_, database), database.read() as connection:
            names = usage.names(connection)
    except CeleriacError:
        return []
    return [name for name in names if name.startswith(prefix)]


_COMPLETERS: dict[str, Callable[..., list[str]]] = {"RUN": _runs, "STEP": _steps, "TOOL": _tools}
