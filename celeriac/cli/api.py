"""`celeriac api`: serve runs over HTTP, by GA4GH WES 1.1 and by the routes of CWL-Airflow."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from celeriac.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from celeriac.settings import Settings

EPILOG = """examples:
  celeriac api
  celeriac api-keys add alice --scope read,submit,cancel && celeriac api --host 0.0.0.0 --workers 4
  curl http://127.0.0.1:8080/ga4gh/wes/v1/service-info

Without a key (`celeriac api-keys add`, or CELERIAC_API_JWT_KEY) there is no authentication, and it serves on a
loopback address only. docs/api.md tells of the routes, docs/security.md of what runs from outside may reach.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="the port (default: 8080); 0: one that is free")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes that serve (default: 1)")
    parser.add_argument("--debug", action="store_true", help="print what Celeriac does, and where errors come from")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command; it ends at SIGTERM or SIGINT, when the requests that are under way have been answered."""
    from celeriac.settings import Settings

    if args.workers < 1:
        raise UsageError(f"--workers is {args.workers}: a number above 0 was expected")
    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port is {args.port}: a number from 0 to 65535 was expected")
    settings = Settings.load()
    guarded = _guarded(runtime, settings, args.host)
    from celeriac.api import serve

    with serve.bind(args.host, args.port) as listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        note = "" if guarded else ", for this host's programs, without authentication"
        print(f"celeriac: listening on http://{shown}:{port}{note}", file=sys.stderr, flush=True)
        serve.serve(runtime, settings, listening, guarded=guarded, workers=args.workers)
    return 0


def _guarded(runtime: Any, settings: Settings, host: str) -> bool:
    """Return whether callers have to say who they are; checks all settings before anything is served.

    Raises :class:`~celeriac.errors.SettingsError` where nobody would have to, though others than this host's
    programs could ask.
    """
    from celeriac.api.app import create
    from celeriac.journal import callers

    with closing(runtime.engine(settings)) as engine:
        create(engine, settings)
        with engine.database.read() as connection:
            keys = callers.any_key(connection)
    if keys or settings.api_jwt_key:
        return True
    if not _is_loopback(host):
        raise SettingsError(
            f"--host {host} can be reached from other hosts, and there is no key by which callers can say who they are",
            hint="`celeriac api-keys add NAME --scope read,submit,cancel`, or set CELERIAC_API_JWT_KEY",
        )
    return False


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
