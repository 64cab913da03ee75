"""`celeriac notify list`, `replay` and `drop`: what listeners were not told yet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from celeriac.cli.look import duration, find, iso, journal, print_json
from celeriac.errors import EXIT_FAILED, SettingsError, UsageError

#: How the listener of the settings is named.
_OWN = "CELERIAC_NOTIFY_URL"


def show(args: argparse.Namespace) -> int:
    """Print what has not arrived; the oldest first."""
    from celeriac.journal import notices

    with journal() as (settings, database):
        with database.read() as connection:
            rows = notices.listing(connection, dead=args.dead)
    if args.json:
        print_json([_data(row) for row in rows])
    elif rows:
        from celeriac.cli.table import show as table

        table(("RUN", "KIND", "LISTENER", "STATE", "TRIES", "NEXT", "ERROR"), [_line(row) for row in rows])
    for text in _troubles(settings, rows):
        print(f"celeriac: warning: {text}", file=sys.stderr)
    return 0


def replay(args: argparse.Namespace) -> int:
    """Send what did not arrive, as if it were new; 1 when something does not arrive now either."""
    from celeriac.engine.notify import deliver
    from celeriac.journal import notices

    with journal() as (settings, database):
        named = [find(database, given).id for given in args.runs]
        with database.begin() as connection:
            found = notices.revive(connection, of=named, dead=args.dead)
            if not args.dead:  # and what was never tried: its process has died, or it has no worker
                found = list(dict.fromkeys(row.run_id for row in notices.listing(connection, of=named or None)))
            before = notices.listing(connection, of=found)
        for run in found:
            deliver(database, settings, run)
        with database.read() as connection:
            left = notices.listing(connection, of=found)
    print(f"{max(0, len(before) - len(left))} delivered, {len(left)} left")
    for error in dict.fromkeys(row.error for row in left if row.error):
        print(f"celeriac: error: not delivered: {error}", file=sys.stderr)
    for text in _troubles(settings, left):
        print(f"celeriac: warning: {text}", file=sys.stderr)
    return EXIT_FAILED if left else 0


def drop(args: argparse.Namespace) -> int:
    """Forget what was given up, for a listener that is gone; raises :class:`~celeriac.errors.UsageError`."""
    from celeriac.journal import notices

    if bool(args.runs) == args.all:
        hint = "celeriac notify list --dead shows what there is"
        raise UsageError("notify drop needs either runs or --all", hint=hint)
    with journal() as (_, database):
        named = [find(database, given).id for given in args.runs]
        with database.begin() as connection:
            rows = notices.listing(connection, of=named or None, dead=not args.waiting)
            gone = [row.id for row in rows if args.to is None or args.to in (row.target, _listener(row) or _OWN)]
            notices.forget(connection, gone)
    print(f"{len(gone)} dropped")
    return 0


def _troubles(settings: Any, rows: Sequence[Any]) -> list[str]:
    """Return what keeps notices here from being sent, whatever their listeners do."""
    from celeriac.notify.sign import body

    found = []
    if any(not row.target for row in rows) and not settings.notify_url:
        found.append("CELERIAC_NOTIFY_URL is not set here: what has no listener of its own can't be sent from here")
    try:
        body(settings, {})
    except SettingsError as error:
        found.append(f"nothing is sent from here: {error}")
    return found


def _state(row: Any) -> str:
    return "dead" if row.dead else "waits"


def _listener(row: Any) -> str | None:
    """Return a notice's listener as people see it; None for the one of the settings."""
    from celeriac.notify.post import shown

    return shown(row.target) if row.target else None


def _data(row: Any) -> dict[str, Any]:
    return {
        "run": row.run_id,
        "kind": row.route,
        "listener": _listener(row),
        "key": row.key,
        "state": _state(row),
        "tries": row.tries,
        "created": iso(row.created),
        "next": None if row.dead else iso(row.due),
        "error": row.error,
    }


def _line(row: Any) -> tuple[str, ...]:
    pause = "" if row.dead else "now" if row.pause <= 0 else f"in {duration(row.pause)}"
    return row.run_id, row.route, _listener(row) or _OWN, _state(row), str(row.tries), pause, row.error or ""
