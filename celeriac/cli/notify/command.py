"""`celeriac notify`: list what did not arrive, send it again, forget it, listen."""

from __future__ import annotations

import argparse
from typing import Any

from celeriac.cli.notify import listen, waiting

EPILOG = """examples:
  celeriac notify list
  celeriac notify list --dead --json
  celeriac notify replay
  celeriac notify drop --all --to http://old.example/
  celeriac notify listen --port 8080 --key public.pem
  celeriac run --notify http://127.0.0.1:8080/ workflow.cwl job.yml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    shown = _action(actions, "list", "show what listeners were not told yet, and why")
    shown.add_argument("--dead", action="store_true", help="only what was given up")
    shown.add_argument("--json", action="store_true", help="print JSON")
    again = _action(actions, "replay", "send what did not arrive now, from here")
    again.add_argument("runs", metavar="RUN", nargs="*", help="of these runs alone: ids, or beginnings of them")
    again.add_argument("--dead", action="store_true", help="only what was given up")
    gone = _action(actions, "drop", "forget what was given up")
    gone.add_argument("runs", metavar="RUN", nargs="*", help="of these runs: ids, or beginnings of them")
    gone.add_argument("--all", action="store_true", help="of all runs")
    gone.add_argument("--to", metavar="URL", help="only for this listener, as `list` shows it")
    gone.add_argument("--waiting", action="store_true", help="also what would be tried again")
    listen.arguments(_action(actions, "listen", "take notices and print them, to try it out"))


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    return made


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    if args.action == "listen":
        return listen.main(args)
    return {"list": waiting.show, "replay": waiting.replay, "drop": waiting.drop}[args.action](args)
