"""`celeriac api-keys`: who may call `celeriac api`, by keys whose digests alone are kept."""

from __future__ import annotations

import argparse
from typing import Any

from celeriac.cli.look import iso, journal, print_json, when
from celeriac.errors import NotFoundError, UsageError

EPILOG = """examples:
  celeriac api-keys add alice --scope read,submit,cancel
  celeriac api-keys add watcher --scope read,admin
  celeriac api-keys list
  celeriac api-keys remove alice

A caller sees its own runs; with the scope admin, all runs, and may do all with them.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    add = _action(actions, "add", "make a key for a caller, and print it: it is shown once")
    add.add_argument("name", metavar="NAME", help="the caller's name")
    add.add_argument("--scope", metavar="SCOPES", required=True, help="read, submit, cancel, admin; commas between")
    listing = _action(actions, "list", "list the callers that have a key")
    listing.add_argument("--json", action="store_true", help="print JSON")
    remove = _action(actions, "remove", "remove a caller's key: it is refused from now on")
    remove.add_argument("name", metavar="NAME", help="the caller's name")


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    return made


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    return {"add": _add, "list": _list, "remove": _remove}[args.action](args)


def _add(args: argparse.Namespace) -> int:
    from celeriac.api import auth
    from celeriac.journal import callers

    wanted = args.scope.replace(",", " ").split()
    unknown = sorted(set(wanted) - set(auth.SCOPES))
    if unknown or not wanted:
        raise UsageError(f"--scope is {args.scope!r}: some of {', '.join(auth.SCOPES)} were expected")
    if not args.name or len(args.name) > 255 or not args.name.isprintable():
        raise UsageError(f"the name is {args.name!r}: 1 to 255 characters that can be printed were expected")
    if args.name == auth.UNNAMED:
        raise UsageError(
            f"the name is {args.name!r}, as those are called who sign without a name",
            hint="their runs are seen with the scope admin",
        )
    key = auth.new_key()
    with journal() as (_, database), database.begin() as connection:
        new = callers.add_key(connection, args.name, auth.digest(key), sorted(set(wanted)))
    if not new:
        raise UsageError(f"{args.name} has a key already", hint=f"`celeriac api-keys remove {args.name}` removes it")
    print(key)
    return 0


def _list(args: argparse.Namespace) -> int:
    from celeriac.journal import callers

    with journal() as (_, database), database.read() as connection:
        rows = callers.all_keys(connection)
    if args.json:
        print_json([{"name": row.name, "scopes": row.scopes, "created": iso(row.created)} for row in rows])
    elif rows:
        from celeriac.cli.table import show

        show(("NAME", "SCOPES", "CREATED"), [(row.name, ", ".join(row.scopes), when(row.created)) for row in rows])
    return 0


def _remove(args: argparse.Namespace) -> int:
    from celeriac.journal import callers

    with journal() as (_, database), database.begin() as connection:
        gone = callers.remove_key(connection, args.name)
    if not gone:
        raise NotFoundError(f"there is no key of {args.name!r}", hint="`celeriac api-keys list` shows them")
    return 0
