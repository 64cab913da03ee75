"""`celeriac list`: the runs, newest first."""

from __future__ import annotations

import argparse
from typing import Any

from celeriac.cli.look import between, duration, iso, journal, print_json, when
from celeriac.cli.moment import is_interrupted
from celeriac.errors import UsageError
from celeriac.states import RunState

EPILOG = """examples:
  celeriac list
  celeriac list --state running
  celeriac list --limit 1 --json | jq -r '.[0].id'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    states = [str(state) for state in RunState]
    parser.add_argument(
        "--state", metavar="STATE", type=str.upper, choices=states, help="only these: " + ", ".join(states)
    )
    parser.add_argument("--limit", "-n", metavar="N", type=int, default=20, help="at most so many (default: 20)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    if args.limit < 1:
        raise UsageError(f"--limit is {args.limit}: a number above 0 was expected")
    from celeriac.journal import runs, views

    with journal() as (_, database), database.read() as connection:
        now = views.clock(connection)
        rows = runs.recent(connection, args.limit, args.state)
    if args.json:
        print_json([_data(row, now) for row in rows])
    elif rows:
        from celeriac.cli.table import show

        show(("RUN", "STATE", "SUBMITTED", "TIME", "DOCUMENT", "ERROR"), [_line(row, now) for row in rows])
    return 0


def _data(row: Any, now: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "created": iso(row.created),
        "started": iso(row.started),
        "ended": iso(row.ended),
        "seconds": round(between(row.created, row.ended or now) or 0.0, 3),
        "error": row.error,
        "interrupted": is_interrupted(row),
    }


def _line(row: Any, now: float) -> tuple[str, ...]:
    message = (row.error or {}).get("message", "").partition("\n")[0] if row.state == RunState.FAILED else ""
    if is_interrupted(row):
        message = f"interrupted: `celeriac resume {row.id}` goes on with it"
    return (
        row.id,
        row.state,
        when(row.created),
        duration(between(row.created, row.ended or now)),
        row.name,
        message if len(message) <= 60 else message[:57] + "...",
    )
