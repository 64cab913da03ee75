"""What `celeriac why --json` prints. docs/command-line.md describes the keys: they only ever get more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celeriac.cli.look import RunFiles
from celeriac.cli.queues import hosts
from celeriac.cli.why import reuse as why_reuse
from celeriac.cli.why import tries as why_tries
from celeriac.cli.why import wait as why_wait
from celeriac.cli.why.ask import Amount, amounts, grant_words, sizes, source
from celeriac.cli.why.find import Found, find
from celeriac.document.cache import DocumentCache
from celeriac.errors import CeleriacError, PlacementError
from celeriac.job.ask import static
from celeriac.journal import nodes, runs, views, workers
from celeriac.resources import Ask, QueueLimits, Resources, explain, rank
from celeriac.scheduler.placement import Placement, placement
from celeriac.states import AttemptState

if TYPE_CHECKING:
    from celeriac.journal.database import Database
    from celeriac.settings import Settings


def explanation(database: Database, settings: Settings, run: Any, path: str, runtime: Any) -> dict[str, Any]:
    """Return all there is to say of one step of a run. Raises as :func:`celeriac.cli.why.find.find`."""
    with database.read() as connection:
        documents = DocumentCache.under(settings.home / "cache")
        document = documents.get(run.document, lambda: runs.document(connection, run.document))
        found = find(connection, run.id, document.graph, path)
        where = found.node.path if found.node is not None else path
        tries = views.tried(connection, run.id, where) if found.node is not None else []
        inputs = _inputs(connection, run.id, found.node) if tries else {}
        text = None if tries else why_wait.before(connection, run, document.graph, found)
        again = why_reuse.data(connection, run, tries)
        waiting = views.waiting(connection, tries[-1].queue) if _waits(tries) else 0
    queues = [QueueLimits(**entry) for entry in run.queues]
    ask = _ask(tries, found)
    limited = _limited(ask, queues, tries)
    data = {
        "run": run.id,
        "name": run.name,
        "step": where,
        "state": _state(found, tries),
        "tool": tries[0].tool if tries else None,
        "asked": [_amount(one) for one in amounts(source(found.process, document.tool(found.address)), ask)],
        "inputs": [{"name": name, "files": number, "bytes": size} for name, number, size in sizes(inputs)],
        "hint": found.process.queue,
        **_placed(ask, queues, tries, limited),
        "items": _items(found),
        "attempts": why_tries.data(tries, RunFiles(settings, run)),
        "reuse": again,
        "waits": None,
        "text": text or _no_more(tries, ask, queues, found),
    }
    if _waits(tries):
        site = hosts.look(database, workers.within(settings.scan_interval), queues, runtime.holds)
        data["waits"] = why_wait.in_queue(tries[-1], site, waiting, runtime.is_embedded(settings))
    return data


def _waits(tries: Sequence[Any]) -> bool:
    return bool(tries) and tries[-1].state == AttemptState.QUEUED


def _state(found: Found, tries: Sequence[Any]) -> str | None:
    """Return the step's state as `celeriac status` has it: one that a worker has claimed runs."""
    if found.node is None:
        return None
    runs_now = tries and tries[-1].state == AttemptState.RUNNING and found.node.state == "QUEUED"
    return "RUNNING" if runs_now else str(found.node.state)


def _inputs(connection: Any, run: str, node: Any) -> Mapping[str, Any]:
    if node.idx is None:
        return node.inputs or {}
    return {**nodes.inputs(connection, run, node.parent), **(node.inputs or {})}


# --- asked ---------------------------------------------------------------------------------------


def _ask(tries: Sequence[Any], found: Found) -> Ask | None:
    """Return what was asked, or is sure to be; None: nobody has evaluated it yet."""
    if tries:
        return Ask.from_json(tries[0].asked)
    error = found.node.error if found.node is not None else None
    fields = error.get("fields", {}) if error and error.get("type") == "PlacementError" else {}
    if {"cpus", "ram", "gpus"} <= fields.keys():
        least = Resources(fields["cpus"], fields["ram"], fields["gpus"])
        return Ask(least, cpus=least.cpus, ram=least.ram, queue=found.process.queue)
    try:
        return static(found.process)
    except CeleriacError:
        return None


def _amount(one: Amount) -> dict[str, Any]:
    return {
        "name": one.name,
        "least": one.least,
        "most": one.most,
        "said": dict(one.said),
        "expression": one.computed,
        "source": one.source,
    }


# --- placed --------------------------------------------------------------------------------------


def _limited(ask: Ask | None, queues: Sequence[QueueLimits], tries: Sequence[Any]) -> bool:
    """Whether the queues are an operator's limits; else the run's only queue is the host itself."""
    if ask is None or not tries or tries[0].granted is None or len(queues) != 1:
        return True
    try:
        there = placement(ask, queues)
    except PlacementError:
        return False
    return there == Placement(tries[0].queue, Resources(**tries[0].granted))


def _placed(ask: Ask | None, queues: Sequence[QueueLimits], tries: Sequence[Any], limited: bool) -> dict[str, Any]:
    if ask is None:
        ordered = [(queue, "") for queue in sorted(queues, key=rank)]
    else:
        chosen = ask.queue if limited else None
        ordered = explain(ask.least, queues, chosen, prefer_default=ask.silent)
    expected = next((queue for queue, reason in ordered if reason.startswith("taken")), None)
    first = next((queue for queue in queues if tries and queue.name == tries[0].queue), expected)
    granted = Resources(**tries[0].granted) if tries and tries[0].granted else None
    if not tries and ask is not None and expected is not None:
        granted = placement(ask, queues, limited=limited).granted
    words = grant_words(ask, first, granted, limited) if ask and first and granted else None
    return {
        "queues": [
            {"name": queue.name, "cpus": queue.cpus, "ram": queue.ram, "gpus": queue.gpus, "reason": reason or None}
            for queue, reason in ordered
        ],
        "queue": first.name if first else None,
        "granted": None if granted is None else {"cpus": granted.cpus, "ram": granted.ram, "gpus": granted.gpus},
        "grant": words or ("nothing: an expression needs no slot" if tries and tries[0].granted is None else None),
    }


def _items(found: Found) -> dict[str, Any] | None:
    if not found.queues or sum(found.queues.values()) < 2:
        return None
    placed = {queue: number for queue, number in found.queues.items() if queue is not None}
    return {"total": sum(found.queues.values()), "queues": placed}


def _no_more(tries: Sequence[Any], ask: Ask | None, queues: Sequence[QueueLimits], found: Found) -> str | None:
    if not tries or ask is None or found.node is None or found.node.ended is None:
        return None
    return why_tries.no_more(tries[-1], ask, queues)
