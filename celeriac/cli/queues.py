"""`celeriac queues`: the queues, their limits, and what waits in them; or check a queue file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celeriac.cli.look import duration, print_json
from celeriac.errors import BrokerUnavailable, UsageError
from celeriac.resources import CONTROL_QUEUE, QueueLimits, rank

EPILOG = """examples:
  celeriac queues
  celeriac queues --json | jq '.queues[] | select(.workers == 0) | .name'
  celeriac queues check queues.yaml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "check", metavar="check FILE", nargs="*", help="only check that a queue file is right, and show it"
    )


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    from celeriac.settings import Settings

    if args.check:
        if len(args.check) != 2 or args.check[0] != "check":
            raise UsageError("`celeriac queues` takes nothing, or `check FILE`")
        path = Path(args.check[1])
        return _tell(path, runtime.check_queues(path), None, args.json)
    settings = Settings.load()
    path, queues = runtime.queues(settings)
    depths, problem = None, None
    try:
        depths = runtime.depths(settings, [CONTROL_QUEUE, *(queue.name for queue in queues)])
    except BrokerUnavailable as error:
        problem = error
    _tell(path, queues, depths, args.json)
    if problem is not None:
        print(f"celeriac: warning: what waits is not known: {problem}", file=sys.stderr)
    return 0


def _tell(path: Path, queues: Sequence[QueueLimits], depths: Any, as_json: bool) -> int:
    ordered = sorted(queues, key=rank)
    if as_json:
        control = _depth(CONTROL_QUEUE, depths)
        print_json({"file": str(path), "queues": [_data(queue, depths) for queue in ordered], "control": control})
        return 0
    from celeriac.cli.table import show

    heads = ("QUEUE", "CPUS", "RAM", "GPUS", "PRIORITY", "MAX RUNTIME", "DEFAULT", "WAITING", "WORKERS")
    rows = [_line(queue, depths) for queue in ordered]
    if depths is not None:
        rows.append((CONTROL_QUEUE, *[""] * 6, *_counts(CONTROL_QUEUE, depths)))
    show(heads, rows)
    return 0


def _data(queue: QueueLimits, depths: Any) -> dict[str, Any]:
    return {
        "name": queue.name,
        "cpus": queue.cpus,
        "ram": queue.ram,
        "gpus": queue.gpus,
        "priority": queue.priority,
        "max_runtime": queue.max_runtime,
        "default": queue.default,
        **_depth(queue.name, depths),
    }


def _depth(name: str, depths: Any) -> dict[str, int | None]:
    depth = depths.get(name) if depths else None
    return {"waiting": depth.waiting if depth else None, "workers": depth.workers if depth else None}


def _line(queue: QueueLimits, depths: Any) -> tuple[str, ...]:
    return (
        queue.name,
        f"{queue.cpus:g}",
        f"{queue.ram} MiB",
        str(queue.gpus or ""),
        "" if queue.priority is None else str(queue.priority),
        duration(queue.max_runtime),
        "yes" if queue.default else "",
        *_counts(queue.name, depths),
    )


def _counts(name: str, depths: Any) -> tuple[str, str]:
    if depths is None:
        return "", ""
    depth = depths[name]
    return str(depth.waiting or 0), str(depth.workers)
