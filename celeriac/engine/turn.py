"""A turn: what the scheduler does to one run in one transaction, while it holds the run's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from celeriac.errors import CeleriacError
from celeriac.graph.merge import gather
from celeriac.graph.model import Kind, Process, Step
from celeriac.graph.paths import address, join, step_name
from celeriac.graph.scatter import collect
from celeriac.job.options import RunOptions
from celeriac.journal import attempts, nodes, outbox, runs
from celeriac.journal.tables import Record
from celeriac.scheduler import readiness
from celeriac.scheduler.fairness import share
from celeriac.states import NODE_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine, Message


@dataclass(frozen=True)
class Ended:
    """A node that has ended in this turn."""

    path: str
    parent: str | None
    step: str
    state: NodeState
    error: dict[str, Any] | None = None
    seconds: float | None = None  # that its tool took


@dataclass(frozen=True)
class Ends:
    """Steps of one workflow that have ended well in this turn."""

    scope: str  # the workflow's path
    step: str  # its step path
    names: Sequence[str]


@dataclass(frozen=True)
class Fresh:
    """A node that this turn has made READY, as a row of the journal has it."""

    path: str
    parent: str
    step: str
    kind: str
    inputs: dict[str, Any]
    idx: None = None


#: Messages to workers. Those of an embedded run are in the memory of the process that has the run: they are lost
#: with it in any case, and who resumes the run sends all that nobody has claimed.
_TO_WORKERS = ("chain", "chord")


class Turn:
    """Applies events to a run; the messages that follow are in ``messages`` and the outbox.

    ``fresh`` are the nodes that it has made READY and that can be dispatched in this turn, ``behind`` says
    whether there are others, for a later one.
    """

    def __init__(self, engine: Engine, connection: Connection, run: Record) -> None:
        self.engine = engine
        self.connection = connection
        self.run = run
        self.id: str = run.id
        self.graph: Process = engine.document(run.document).graph
        self.options: RunOptions = engine.options(run.id, run.options)
        self.queues = engine.queue_table(run.id, run.opened, run.queues)
        self.state = RunState(run.state)
        self.stopping: bool = run.stopping
        self.error: dict[str, Any] | None = run.error
        self.root_ended = False
        self.fresh: list[Fresh] = []
        self.behind = False
        self.notes = engine.notes(connection, run)  # None: nobody listens
        self.well: list[Ends] = []  # for what may be removed after the commit, if the run wants that
        self._messages: list[Message] = []

    @property
    def halted(self) -> bool:
        """Whether nothing new may start."""
        return self.stopping or self.state is not RunState.RUNNING

    # --- names ----------------------------------------------------------------------------------

    def shadow(self, path: str) -> str:
        """Return a task's name for people: workflow/step, without indexes (low cardinality)."""
        plain = address(path)
        return f"{self.run.name}/{plain}" if plain else self.run.name

    # --- ends -----------------------------------------------------------------------------------

    def cancel_queued(self) -> None:
        """Take back what nobody has claimed."""
        paths = attempts.cancel_queued(self.connection, self.id)
        nodes.change(self.connection, self.id, paths, NodeState.CANCELED)

    def ended(self, ended: list[Ended]) -> None:
        """Carry the ends of nodes up to their workflows and scatters, and start what they made ready."""
        pending = ended
        while pending:
            if self.notes is not None:
                self.notes.ended(pending)
            groups: dict[str | None, list[Ended]] = defaultdict(list)
            for node in pending:
                groups[node.parent].append(node)
            pending = []
            for parent, children in groups.items():
                pending += self._parts_ended(parent, children)

    def _parts_ended(self, parent: str | None, children: list[Ended]) -> list[Ended]:
        failed = [child for child in children if child.state in (NodeState.FAILED, NodeState.CANCELED)]
        if failed and self.error is None:
            self.error = failed[0].error
            runs.put(self.connection, self.id, error=self.error)
        if parent is None:
            self.root_ended = True
            return []
        if failed and self.options.on_error == "stop" and not self.stopping:
            self.stopping = True
            runs.put(self.connection, self.id, stopping=True)
        seconds = _mean(child.seconds for child in children)
        row = nodes.count_down(self.connection, self.id, parent, len(children), len(failed), seconds)
        if row.kind == "scatter":
            return self.items_ended(row)
        return self._steps_ended(row, children)

    def items_ended(self, row: Record) -> list[Ended]:
        """Go on with a scatter of which items have ended just now."""
        if row.remaining > 0:
            if not self.halted and nodes.promote(self.connection, self.id, row.path, self._turns(row)):
                self.behind = True
            return []
        names = self.graph.at(row.step).output_names
        if nodes.is_last(self.connection, self.id, row.path):
            self.engine.on_steps_end(self.id)  # before the outputs of them all are in memory
        outputs = collect(row.shape, names, nodes.item_outputs(self.connection, self.id, row.path))
        return [self.end(row, outputs, bool(row.failed))]

    def _turns(self, row: Record) -> int:
        """Return how many more items of a scatter get their turn."""
        own = share(self.engine.width(row.seconds).window, nodes.scatters(self.connection, self.id))
        return max(0, own - nodes.under_way(self.connection, self.id, row.path))

    def _steps_ended(self, row: Record, children: list[Ended]) -> list[Ended]:
        process = self.graph.at(row.step)
        assert process.steps is not None
        ended: list[Ended] = []
        done = [step_name(child.path) for child in children if child.state in readiness.DONE]
        failed = [step_name(child.path) for child in children if child.state not in readiness.DONE]
        remaining = row.remaining
        if done and self.options.remove_intermediate:
            self.well.append(Ends(row.path, row.step, done))
        if done and not self.halted:
            ended += self.activate(row, process, readiness.concerned(process.steps, done))
        if failed and not self.halted:
            number = self._block(row, process, failed)
            remaining = nodes.count_down(self.connection, self.id, row.path, number, 0).remaining
        if remaining == 0:
            ended.append(self.finish_workflow(row, process))
        return ended

    def _block(self, scope: Record, process: Process, failed: list[str]) -> int:
        """Mark what can't run any more, since a step that it needs failed."""
        assert process.steps is not None
        names = readiness.blocked(process.steps, failed)
        known = nodes.states(self.connection, self.id, [join(scope.path, name) for name in names])
        rows = [
            self._row(scope, process.steps[name], NodeState.UPSTREAM_FAILED)
            for name in names
            if join(scope.path, name) not in known
        ]
        nodes.add(self.connection, rows)
        if self.notes is not None:
            self.notes.blocked(row["path"] for row in rows)
        return len(rows)

    def end(self, row: Record, outputs: dict[str, Any], failed: bool, error: Any = None) -> Ended:
        """End a scatter or workflow."""
        state = NodeState.FAILED if failed else NodeState.SUCCESS
        nodes.change(self.connection, self.id, [row.path], state, outputs=outputs, error=error)
        return Ended(row.path, row.parent, row.step, state, error or self.error if failed else None)

    def finish_workflow(self, row: Record, process: Process) -> Ended:
        """End a workflow whose steps have all ended."""
        needed = {s.partition("/")[0] for port in process.outputs for s in port.sources or () if "/" in s}
        values = self._values(row.path, needed)
        failed = bool(row.failed)
        try:
            outputs = gather(process.outputs, values, multiple_input=process.multiple_input, incomplete=True)
        except CeleriacError as error:
            if not failed:
                return self.end(row, {}, True, error.to_dict())
            outputs = self._what_there_is(process, values)
        return self.end(row, outputs, failed)

    def _what_there_is(self, process: Process, values: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of a workflow with failed steps; one whose pickValue can't be kept is null."""
        outputs: dict[str, Any] = dict.fromkeys(process.output_names)
        for port in process.outputs:
            with suppress(CeleriacError):
                outputs |= gather([port], values, multiple_input=process.multiple_input, incomplete=True)
        return outputs

    def look_at_root(self) -> None:
        """Notice a root that ended before: whoever ended it may have died before it ended the run."""
        state = nodes.states(self.connection, self.id, [""]).get("")
        self.root_ended = self.root_ended or state in NODE_ENDED

    # --- starts ---------------------------------------------------------------------------------

    def start_root(self) -> None:
        """Give the run's root node its turn."""
        inputs = runs.inputs(self.connection, self.id)
        kind = "workflow" if self.graph.kind is Kind.WORKFLOW else "job"
        row = {"run_id": self.id, "path": "", "step": "", "kind": kind, "state": NodeState.READY, "inputs": inputs}
        nodes.add(self.connection, [row])
        self.behind = True

    def activate(self, scope: Record, process: Process, candidates: Iterable[str]) -> list[Ended]:
        """Make READY those of ``candidates`` whose every source is there; returns those that can't."""
        steps = process.steps
        assert steps is not None
        names = list(candidates)
        if not names:
            return []
        needed = set().union(*(steps[name].requires for name in names))
        paths = {join(scope.path, name): name for name in needed.union(names)}
        found = nodes.states(self.connection, self.id, paths)
        names = readiness.ready(steps, names, {paths[path]: state for path, state in found.items()})
        if not names:
            return []
        values = self._values(scope.path, set().union(*(steps[name].requires for name in names)))
        rows, ended = [], []
        for name in names:
            try:
                arrived = gather(steps[name].inputs, values, multiple_input=process.multiple_input)
                rows.append({**self._row(scope, steps[name], NodeState.READY), "inputs": arrived})
            except CeleriacError as error:
                error.where = error.where or f"step '{join(scope.path, name)}'"
                row = {**self._row(scope, steps[name], NodeState.FAILED), "error": error.to_dict()}
                rows.append(row)
                ended.append(Ended(row["path"], scope.path, row["step"], NodeState.FAILED, row["error"]))
        nodes.add(self.connection, rows)
        for row in rows:
            if row["state"] is NodeState.READY:
                fields = ("path", "parent", "step", "kind", "inputs")
                self.fresh.append(Fresh(**{field: row[field] for field in fields}))
        return ended

    def _row(self, scope: Record, step: Step, state: NodeState) -> dict[str, Any]:
        kind = "scatter" if step.scatter else "workflow" if step.process.kind is Kind.WORKFLOW else "job"
        return {
            "run_id": self.id,
            "path": join(scope.path, step.name),
            "parent": scope.path,
            "step": join(scope.step, step.name),
            "kind": kind,
            "state": state,
        }

    def _values(self, scope: str, steps: set[str]) -> dict[str, Any]:
        """Return what links may start at: a workflow's inputs and its steps' outputs."""
        values = dict(self.engine.inputs_in(self.connection, self.id, self.run.opened, scope))
        found = nodes.outputs(self.connection, self.id, [join(scope, name) for name in steps])
        for path, outputs in found.items():
            step = step_name(path)
            values.update(dict.fromkeys(self._ports(scope, step)))
            values.update({f"{step}/{port}": value for port, value in outputs.items()})
        return values

    def _ports(self, scope: str, step: str) -> list[str]:
        """Name every output of a step: one that is skipped gives null."""
        process = self.graph.at(address(scope))
        assert process.steps is not None
        return [f"{step}/{port}" for port in process.steps[step].outputs]

    # --- messages -------------------------------------------------------------------------------

    def message(self, kind: str, **payload: Any) -> None:
        """Have something published after the commit."""
        self._messages.append((kind, payload))

    def flush(self) -> list[tuple[int | None, Message]]:
        """Write the messages into the outbox, in this transaction; return them to be sent after it.

        Each comes with its number there, None where it is not kept.
        """
        messages, self._messages = self._messages, []
        own = self.run.keeper is not None and self.run.keeper == self.engine.keeper
        kept = [message for message in messages if not own or message[0] not in _TO_WORKERS]
        others = [message for message in messages if own and message[0] in _TO_WORKERS]
        numbers = outbox.add(self.connection, self.id, kept)
        if self.notes is not None and self.notes.write():
            others.append(("notify", {}))
        return [*zip(numbers, kept, strict=True), *((None, message) for message in others)]


def _mean(seconds: Iterable[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return sum(known) / len(known) if known else None
