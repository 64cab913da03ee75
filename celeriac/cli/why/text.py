"""What `celeriac why` prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celeriac.cli.table import show
from celeriac.cli.why.tries import how
from celeriac.errors import from_dict
from celeriac.resources import Resources

_NAMES = {"cpus": "CPUs", "ram": "memory", "gpus": "GPUs", "tmpdir": "temporary files", "outdir": "output files"}
_UNITS = {"cpus": "", "gpus": ""}  # all others are MiB
#: Inputs that are told.
INPUTS = 10


def tell(data: Mapping[str, Any]) -> None:
    """Print an explanation."""
    tool = f", tool {data['tool']}" if data["tool"] and data["tool"] != data["step"] else ""
    state = data["state"] or "not there yet"
    print(f"{data['step'] or data['name']} of run {data['run']} ({data['name']}{tool}) is {state}")
    if data["items"]:
        print(f"  {_items(data['items'], data['step'])}")
    if data["text"]:
        print(f"  {_indent(data['text'])}")
    if data["waits"]:
        print(f"  {data['waits']['text']}")
    if data["reuse"]:
        print(f"  {data['reuse']['text']}")
    print("\nIt asks for:")
    told = [one for one in data["asked"] if one["said"] or one["name"] in ("cpus", "ram")]
    show(("", "LEAST", "MOST", "FROM"), [_amount(one) for one in told])
    if data["hint"]:
        print(f"and by a celeriac:queue hint for queue {data['hint']}.")
    _inputs(data)
    if any(one["least"] is None for one in data["asked"]):
        print("What is computed is known when its inputs are, and with it the queue.")
    print("\nThe run's queues, from the smallest to the largest:")
    show(("QUEUE", "CPUS", "RAM", "GPUS", ""), [_queue(queue) for queue in data["queues"]])
    if data["grant"]:
        verb = "It is granted" if data["attempts"] else "It would be granted"
        print(f"\n{verb} on {data['queue']} {data['grant']}")
    if data["attempts"]:
        _attempts(data)


def _items(items: Mapping[str, Any], step: str) -> str:
    places = ", ".join(f"{number} to {name}" for name, number in items["queues"].items())
    none = items["total"] - sum(items["queues"].values())
    rest = f", {none} {'have' if none > 1 else 'has'} none yet" if none else ""
    return f"the first of {items['total']} jobs of its step, of which went {places or 'none to a queue'}{rest}"


def _amount(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    unit = _UNITS.get(one["name"], " MiB")
    if one["least"] is None:
        return _NAMES[one["name"]], "", "", one["source"]
    most = "the queue's limit" if one["most"] is None else f"{one['most']:.10g}{unit}"
    return _NAMES[one["name"]], f"{one['least']:.10g}{unit}", most, one["source"]


def _inputs(data: Mapping[str, Any]) -> None:
    if not data["inputs"] or not any(one["expression"] for one in data["asked"]):
        return
    print("\nIts input files:")
    for one in data["inputs"][:INPUTS]:
        number = "" if one["files"] == 1 else f" in {one['files']} files"
        size = "of unknown size" if one["bytes"] is None else f"{one['bytes']} bytes"
        print(f"  {one['name']}: {size}{number}")
    if len(data["inputs"]) > INPUTS:
        print(f"  and {len(data['inputs']) - INPUTS} more")


def _queue(queue: Mapping[str, Any]) -> tuple[str, ...]:
    gpus = str(queue["gpus"] or "")
    return queue["name"], f"{queue['cpus']:g}", f"{queue['ram']} MiB", gpus, queue["reason"] or ""


_HEADS = ("ATTEMPT", "QUEUE", "GRANTED", "HOST", "HOW", "EXIT", "PEAK", "CPU")


def _attempts(data: Mapping[str, Any]) -> None:
    attempts = data["attempts"]
    print()
    show(_HEADS, [_row(one) for one in attempts])
    for one in attempts:
        if one["because"]:
            print(f"Attempt {one['attempt']}: {one['because']}.")
    if len(attempts) > 1:
        step = f" '{data['step']}'" if data["step"] else ""
        print(f"What each wrote: `celeriac logs {data['run']}{step} --attempt N`.")
    last = attempts[-1]
    if last["error"]:
        print(f"\nAttempt {last['attempt']}: {_indent(str(from_dict(last['error'])))}")


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(one["attempt"]),
        one["queue"],
        str(Resources(**one["granted"])) if one["granted"] else "",
        one["host"] or "",
        how(one),
        "" if one["exit_code"] is None else str(one["exit_code"]),
        "" if one["peak_memory"] is None else f"{one['peak_memory']} MiB",
        "" if one["cpu_seconds"] is None else f"{one['cpu_seconds']:.1f}s",
    )


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")
