"""`celeriac queues advise`: what tools asked for, what they used, and which queue would do."""

from __future__ import annotations

import argparse
import difflib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import journal, print_json
from celeriac.cli.queues.advice import FEWEST_CPUS, LEAST_RAM, SLACK, SPARE, Advice, Spread, Usage, advise, spread
from celeriac.errors import NotFoundError
from celeriac.resources import Resources

if TYPE_CHECKING:
    from celeriac.journal.database import Database

#: Days that are looked back.
DAYS = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("tools", metavar="TOOL", nargs="*", help="only these tools")
    parser.add_argument("--days", metavar="N", type=_days, default=DAYS, help=f"look back so far (default: {DAYS:g})")


def _days(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


_days.__name__ = "number of days"  # argparse names it: invalid number of days value


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the action."""
    with journal() as (settings, database):
        path, queues = runtime.queues(settings)
        found = usage(database, args.days, args.tools or None)
    pairs = [(one, advise(one, queues)) for one in found]
    if args.json:
        print_json(_data(path, args.days, pairs))
    else:
        _tell(args.days, pairs)
    return 0


def usage(database: Database, days: float, tools: Sequence[str] | None) -> list[Usage]:
    """Return the tools' attempts of the last days; raises :class:`~celeriac.errors.NotFoundError` for unknown tools."""
    from celeriac.journal import usage as query

    with database.read() as connection:
        rows = query.tools(connection, days, tools)
        for name in tools or ():
            if name not in {row.tool for row in rows}:
                raise _unknown(name, days, query.names(connection))
        queues: dict[str, dict[str, int]] = defaultdict(dict)
        for tool, queue, number in query.queues(connection, days, tools):
            queues[tool][queue] = number
        memory: dict[str, list[float]] = defaultdict(list)
        cpus: dict[str, list[float]] = defaultdict(list)
        for tool, peak, used, seconds in query.used(connection, days, tools):
            if peak is not None:
                memory[tool].append(peak)
            if used is not None and seconds > 0:
                cpus[tool].append(used / seconds)
    return [
        Usage(
            tool=row.tool,
            attempts=row.attempts,
            least=Resources(row.cpus_min, int(row.ram_min), int(row.gpus)),
            most=Resources(row.cpus_max, int(row.ram_max), int(row.gpus)),
            out_of_memory=int(row.out_of_memory),
            memory_had=None if row.memory_had is None else int(row.memory_had),
            memory=spread(memory[row.tool]),
            cpus=spread(cpus[row.tool]),
            queues=queues[row.tool],
        )
        for row in rows
    ]


def _unknown(tool: str, days: float, known: Sequence[str]) -> NotFoundError:
    if tool in known:
        hint = "--days looks further back"
    else:
        near = difflib.get_close_matches(tool, known, 1)
        hint = f"did you mean {near[0]}?" if near else "`celeriac queues advise` shows the tools"
    return NotFoundError(f"no tool {tool!r} has ended in the last {days:g} days", hint=hint, tool=tool)


# --- for people ----------------------------------------------------------------------------------

_HEADS = ("TOOL", "ATTEMPTS", "ASKS", "CPUS P50/P95/MAX", "MIB P50/P95/MAX", "OUT OF MEMORY", "WENT TO", "WOULD DO")


def _tell(days: float, pairs: Sequence[tuple[Usage, Advice]]) -> None:
    from celeriac.cli.table import show

    if not pairs:
        print(f"No tool has ended in the last {days:g} days.")
        return
    show(_HEADS, [_row(one, advice) for one, advice in pairs])
    print()
    for one, advice in pairs:
        print(f"{one.tool}: {'; '.join(advice.words)}")
    print(
        f"\nWhat would do: the largest memory seen and {SPARE:.0%} to spare; the CPUs that 95 of 100 attempts kept "
        f"busy, less {SLACK:.0%}. Never less than {LEAST_RAM} MiB and {FEWEST_CPUS:g} CPU, unless it asks for less."
    )


def _row(one: Usage, advice: Advice) -> tuple[str, ...]:
    ask = f"{_range(one.least.cpus, one.most.cpus)} CPU, {_range(one.least.ram, one.most.ram)} MiB"
    return (
        one.tool,
        str(one.attempts),
        ask + (f", {one.most.gpus} GPU" if one.most.gpus else ""),
        _three(one.cpus, ".1f"),
        _three(one.memory, ".0f"),
        str(one.out_of_memory or ""),
        _places(one.queues),
        advice.queue.name if advice.queue else "",
    )


def _range(least: float, most: float) -> str:
    return f"{least:.10g}" if least == most else f"{least:.10g}-{most:.10g}"


def _three(found: Spread | None, form: str) -> str:
    return " / ".join(format(value, form) for value in (found.p50, found.p95, found.most)) if found else ""


def _places(queues: Mapping[str, int]) -> str:
    if len(queues) == 1:
        return next(iter(queues))
    return ", ".join(f"{name} {number}" for name, number in queues.items())


# --- for programs --------------------------------------------------------------------------------


def _data(path: Path, days: float, pairs: Sequence[tuple[Usage, Advice]]) -> dict[str, Any]:
    return {
        "file": str(path),
        "days": days,
        "spare": SPARE,
        "slack": SLACK,
        "tools": [_tool(one, advice) for one, advice in pairs],
    }


def _tool(one: Usage, advice: Advice) -> dict[str, Any]:
    needs = advice.needs
    return {
        "tool": one.tool,
        "attempts": one.attempts,
        "out_of_memory": one.out_of_memory,
        "asked": {
            "cpus": {"min": one.least.cpus, "max": one.most.cpus},
            "ram": {"min": one.least.ram, "max": one.most.ram},
            "gpus": one.most.gpus,
        },
        "used": {"cpus": _spread(one.cpus), "ram": _spread(one.memory)},
        "queues": dict(one.queues),
        "needs": None if needs is None else {"cpus": needs.cpus, "ram": needs.ram, "gpus": needs.gpus},
        "queue": advice.queue.name if advice.queue else None,
        "advice": list(advice.words),
    }


def _spread(found: Spread | None) -> dict[str, float] | None:
    return None if found is None else {"p50": found.p50, "p95": found.p95, "max": found.most}
