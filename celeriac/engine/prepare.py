"""Prepare a node whose turn it is: evaluate its expressions and say what becomes of it.

Nothing is written here and no lock is held: an expression may take long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from celeriac.errors import CeleriacError, StepFailed
from celeriac.graph.model import Kind, Process, Step
from celeriac.graph.scatter import Expansion, expand
from celeriac.job.ask import ask, is_static
from celeriac.job.fence import Fence
from celeriac.job.values import process_inputs, step_inputs
from celeriac.journal.tables import Record
from celeriac.resources import Ask
from celeriac.scheduler.placement import Placement, placement

if TYPE_CHECKING:
    from celeriac.document.document import Document
    from celeriac.engine.engine import Engine
    from celeriac.engine.turn import Fresh


#: A row of the journal, or what is about to be one.
Node = Union[Record, "Fresh"]


@dataclass(frozen=True)
class Job:
    """A tool that is ready to be queued."""

    inputs: dict[str, Any]  # its own, without what it shares with its scatter
    ask: Ask
    place: Placement
    tool: str  # its name
    expression: bool  # evaluated in the worker: it needs no slot


@dataclass(frozen=True)
class Prepared:
    """A node and what is to become of it: exactly one of the fields below ``node`` is set."""

    node: Node
    job: Job | None = None
    workflow: dict[str, Any] | None = None  # its inputs
    scatter: Expansion | None = None
    skipped: bool = False
    error: CeleriacError | None = None


def is_quick(graph: Process, node: Node) -> bool:
    """Whether a node of a run's graph is prepared without expressions and files: so quickly that a lock may be held."""
    scope, _, name = node.step.rpartition("/")
    steps = graph.at(scope).steps
    if not name or steps is None:
        return False
    step = steps[name]
    if step.scatter:
        return True
    if step.when is not None or any(port.value_from is not None or port.load_contents for port in step.inputs):
        return False
    return step.process.kind is not Kind.WORKFLOW and is_static(step.process)


def prepare(engine: Engine, run: Record, document: Document, node: Node) -> Prepared:
    """Evaluate one node of a run (its short row). Failures are part of the answer."""
    try:
        return _prepare(engine, run, document, node)
    except CeleriacError as error:
        if not error.fields.get("step"):  # else the message names it
            error.where = error.where or (f"step '{node.path}'" if node.path else document.graph.name)
        return Prepared(node, error=error)
    except Exception as error:  # a bug, or cwltool's: the run must end and name it
        failure = StepFailed(f"'{node.path}' can't be prepared: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return Prepared(node, error=failure)


def _prepare(engine: Engine, run: Record, document: Document, node: Node) -> Prepared:
    options = engine.options(run.id, run.options)
    fence = Fence.of(options, engine.directory(run.id, options)) if options.access is not None else None
    process = document.graph.at(node.step)
    if node.path == "":
        if node.kind == "workflow":
            return Prepared(node, workflow=node.inputs)
        return _job(engine, run, document, node, process, node.inputs, node.inputs, fence)
    scope, _, name = node.step.rpartition("/")
    workflow = document.graph.at(scope)
    assert workflow.steps is not None
    step: Step = workflow.steps[name]
    if node.kind == "scatter":
        expansion = expand(step.scatter, step.method, node.inputs, node.path)
        if fence is not None:
            fence.access.check_scatter(expansion.width, node.path)
        return Prepared(node, scatter=expansion)
    arrived = node.inputs
    if node.idx is not None:
        arrived = {**engine.inputs(run.id, run.opened, node.parent), **node.inputs}
    inputs = step_inputs(step, workflow, arrived, options.eval_timeout, fence)
    if inputs is None:
        return Prepared(node, skipped=True)
    if process.kind is Kind.WORKFLOW:
        tool = document.tool(node.step)
        return Prepared(node, workflow=process_inputs(tool, inputs, options.eval_timeout, node.path, fence))
    kept = inputs if node.idx is None else _own(inputs, engine.inputs(run.id, run.opened, node.parent))
    return _job(engine, run, document, node, process, inputs, kept, fence)


def _own(inputs: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """Return what an item does not share with its scatter."""
    return {name: value for name, value in inputs.items() if name not in common or common[name] is not value}


def _job(
    engine: Engine,
    run: Record,
    document: Document,
    node: Node,
    process: Process,
    inputs: dict[str, Any],
    kept: dict[str, Any],
    fence: Fence | None,
) -> Prepared:
    title = node.path or process.name
    options = engine.options(run.id, run.options)
    wanted = ask(process, lambda: document.tool(node.step), inputs, options, title, fence)
    queues = engine.queue_table(run.id, run.opened, run.queues)
    found = placement(wanted, queues, limited=engine.limited, step=title)
    name = f"{run.name}:{node.step}" if process.is_nameless else process.name
    return Prepared(node, job=Job(kept, wanted, found, name, process.kind is Kind.EXPRESSION))
