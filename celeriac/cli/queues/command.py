"""`celeriac queues`: the queues and who serves them; check a queue file; what tools really use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celeriac.cli.look import duration, journal, print_json
from celeriac.cli.queues import advise, hosts
from celeriac.cli.queues.ranking import ranking
from celeriac.errors import BrokerUnavailable, JournalUnavailable
from celeriac.resources import CONTROL_QUEUE, QueueLimits, rank

EPILOG = """examples:
  celeriac queues
  celeriac queues --json | jq '.queues[] | select(.workers == 0) | .name'
  celeriac queues check queues.yaml
  celeriac queues advise --days 7
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions (without one: show the queues)")
    check = _action(actions, "check", "only check that a queue file is right, and show it")
    check.add_argument("file", metavar="FILE", help="the queue file")
    advise.arguments(_action(actions, "advise", "show what tools asked for and used, and which queue would do"))


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )
    # without a default: it would undo a --json that stands before the action
    made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    return made


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    if args.action == "check":
        path = Path(args.file)
        return _check(path, runtime.check_queues(path), args.json)
    if args.action == "advise":
        return advise.main(args, runtime)
    return _show(args, runtime)


# --- check ---------------------------------------------------------------------------------------


def _check(path: Path, queues: Sequence[QueueLimits], as_json: bool) -> int:
    ordered = sorted(queues, key=rank)
    words = ranking(queues)
    if as_json:
        print_json({"file": str(path), "queues": [_limits(queue) for queue in ordered], "ranking": words})
        return 0
    from celeriac.cli.table import show

    show(_HEADS, [_cells(queue) for queue in ordered])
    if words:
        print()
    for sentence in words:
        print(sentence)
    return 0


# --- show ----------------------------------------------------------------------------------------


def _show(args: argparse.Namespace, runtime: Any) -> int:
    from celeriac.settings import Settings

    settings = Settings.load()
    path, queues = runtime.queues(settings)
    problems = []
    depths, site = None, None
    try:
        depths = runtime.depths(settings, [CONTROL_QUEUE, *(queue.name for queue in queues)])
    except BrokerUnavailable as error:
        problems.append(_unknown("what waits", error))
    try:
        site = _site(queues, runtime)
    except (JournalUnavailable, OSError) as error:
        problems.append(_unknown("what runs, and on which hosts,", error))
    known = hosts.warnings(queues, depths, site)
    ordered = sorted(queues, key=rank)
    if args.json:
        print_json(_data(path, ordered, depths, site, known))
    else:
        _tell(ordered, depths, site)
    for text in known + problems:
        print(f"celeriac: warning: {text}", file=sys.stderr)
    return 0


def _unknown(what: str, error: Exception) -> str:
    cause = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
    return f"{what} is not known: {cause}"


def _site(queues: Sequence[QueueLimits], runtime: Any) -> hosts.Site:
    from celeriac.journal import workers

    with journal() as (settings, database):
        return hosts.look(database, workers.within(settings.scan_interval), queues, runtime.holds)


def _data(
    path: Path, ordered: Sequence[QueueLimits], depths: Any, site: hosts.Site | None, known: list[str]
) -> dict[str, Any]:
    return {
        "file": str(path),
        "queues": [{**_limits(queue), **_depth(queue.name, depths, site)} for queue in ordered],
        "control": _depth(CONTROL_QUEUE, depths, None),
        "hosts": None if site is None else hosts.data(site),
        "warnings": known,
    }


def _limits(queue: QueueLimits) -> dict[str, Any]:
    return {
        "name": queue.name,
        "cpus": queue.cpus,
        "ram": queue.ram,
        "gpus": queue.gpus,
        "priority": queue.priority,
        "max_runtime": queue.max_runtime,
        "default": queue.default,
    }


def _depth(name: str, depths: Any, site: hosts.Site | None) -> dict[str, int | None]:
    depth = depths.get(name) if depths else None
    found = {"waiting": depth.waiting if depth else None, "workers": depth.workers if depth else None}
    if name != CONTROL_QUEUE:
        found["running"] = None if site is None else site.running.get(name, 0)
    return found


def _tell(ordered: Sequence[QueueLimits], depths: Any, site: hosts.Site | None) -> None:
    from celeriac.cli.table import show

    lines = [(*_cells(queue), *_counts(queue.name, depths, site)) for queue in ordered]
    if depths is not None:
        lines.append((CONTROL_QUEUE, *[""] * (len(_HEADS) - 1), *_counts(CONTROL_QUEUE, depths, None)))
    show((*_HEADS, "WAITING", "RUNNING", "WORKERS"), lines)
    if site is not None and site.hosts:
        print()
        show(hosts.HEADS, hosts.rows(site))


_HEADS = ("QUEUE", "CPUS", "RAM", "GPUS", "PRIORITY", "MAX RUNTIME", "DEFAULT")


def _cells(queue: QueueLimits) -> tuple[str, ...]:
    return (
        queue.name,
        f"{queue.cpus:g}",
        f"{queue.ram} MiB",
        str(queue.gpus or ""),
        "" if queue.priority is None else str(queue.priority),
        duration(queue.max_runtime),
        "yes" if queue.default else "",
    )


def _counts(name: str, depths: Any, site: hosts.Site | None) -> tuple[str, str, str]:
    running = "" if site is None else str(site.running.get(name, 0))
    if depths is None:
        return "", running, ""
    depth = depths[name]
    return str(depth.waiting or 0), running, str(depth.workers)
