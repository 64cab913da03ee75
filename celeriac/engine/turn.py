"""A turn: what the scheduler does to one run in one transaction, while it holds the run's row."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from celeriac.errors import CeleriacError
from celeriac.graph.merge import gather
from celeriac.graph.model import Kind, Process, Step
from celeriac.graph.scatter import collect
from celeriac.job.options import RunOptions
from celeriac.journal import attempts, nodes, outbox, runs
from celeriac.journal.tables import Record
from celeriac.scheduler import readiness
from celeriac.scheduler.retry import Verdict
from celeriac.states import NODE_ENDED, NodeState, Outcome, RunState

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


class Turn:
    """Applies events to a run; the messages that follow are in ``messages`` and the outbox."""

    def __init__(self, engine: Engine, connection: Connection, run: Record) -> None:
        self.engine = engine
        self.connection = connection
        self.run = run
        self.id: str = run.id
        self.graph: Process = engine.document(run.document).graph
        self.options: RunOptions = engine.options(run.id, run.options)
        self.state = RunState(run.state)
        self.stopping: bool = run.stopping
        self.error: dict[str, Any] | None = run.error
        self.root_ended = False
        self._messages: list[Message] = []

    @property
    def halted(self) -> bool:
        """Whether nothing new may start."""
        return self.stopping or self.state is not RunState.RUNNING

    # --- reports --------------------------------------------------------------------------------

    def settle(self, reports: Sequence[Record]) -> None:
        """Draw the conclusions from workers' reports."""
        ended: list[Ended] = []
        succeeded: list[str] = []
        for report in reports:
            verdict = self.engine.policy.decide(self._judge(report), report.number)
            if verdict is Verdict.RETRY and not self.halted:
                self.retry(report)
                continue
            state = {
                Verdict.SUCCEED: NodeState.SUCCESS,
                Verdict.CANCEL: NodeState.CANCELED,
            }.get(verdict, NodeState.FAILED)
            if state is NodeState.SUCCESS:
                succeeded.append(report.path)
            else:
                nodes.change(self.connection, self.id, [report.path], state, error=report.error)
            ended.append(Ended(report.path, report.parent, report.step, state, report.error))
        nodes.change(self.connection, self.id, succeeded, NodeState.SUCCESS)
        attempts.settle(self.connection, [report.id for report in reports])
        self.ended(ended)

    def _judge(self, report: Record) -> Outcome:
        """Return an outcome; a tool that its worker stopped, in a run that nobody cancelled, was interrupted."""
        found = Outcome(report.outcome)
        interrupted = found is Outcome.CANCELED and self.state is RunState.RUNNING
        return Outcome.INFRASTRUCTURE if interrupted else found

    def retry(self, attempt: Record) -> None:
        """Queue the next attempt of a node."""
        self.dispatch_jobs([(attempt.path, None, attempt.queue, attempt.asked, attempt.number + 1)], set())

    # --- dispatch -------------------------------------------------------------------------------

    def dispatch_jobs(
        self, jobs: Sequence[tuple[str, str | None, str, Any, int]], items: set[str], inputs: Any = None
    ) -> list[dict[str, Any]]:
        """Queue attempts: (path, scatter, queue, asked, number); those of ``items`` go out in chords."""
        rows, batches = [], defaultdict(list)
        for path, scatter, queue, asked, number in jobs:
            row = {
                "id": str(uuid.uuid4()),
                "run_id": self.id,
                "path": path,
                "number": number,
                "queue": queue,
                "asked": asked,
                "batch": None,
            }
            rows.append(row)
            if path in items:
                batches[scatter].append(row)
            else:
                self.message("chain", attempt=row["id"], queue=queue, shadow=self.shadow(path))
        for scatter, group in batches.items():
            self._chords(scatter, group)
        attempts.add(self.connection, rows)
        if inputs is None:
            for row in rows:
                nodes.change(self.connection, self.id, [row["path"]], NodeState.QUEUED, attempt=row["id"])
        return rows

    def _chords(self, scatter: str | None, rows: list[dict[str, Any]]) -> None:
        width = self.engine.settings.scatter_width
        for start in range(0, len(rows), width):
            part = rows[start : start + width]
            batch = str(uuid.uuid4())
            for row in part:
                row["batch"] = batch
            self.message(
                "chord",
                batch=batch,
                attempts=[[row["id"], row["queue"]] for row in part],
                shadow=self.shadow(scatter or ""),
            )

    def shadow(self, path: str) -> str:
        """Return a task's name for people: workflow/step, without indexes (low cardinality)."""
        plain = _address(path)
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
        row = nodes.count_down(self.connection, self.id, parent, len(children), len(failed))
        if row.kind == "scatter":
            return self.items_ended(row, len(children))
        return self._steps_ended(row, children)

    def items_ended(self, row: Record, number: int = 0) -> list[Ended]:
        """Go on with a scatter of which ``number`` items have ended just now."""
        if row.remaining > 0:
            if not self.halted:
                nodes.promote(self.connection, self.id, row.path, number)
            return []
        names = self.graph.at(row.step).output_names
        found = nodes.item_outputs(self.connection, self.id, row.path)
        return [self.end(row, collect(row.shape, names, found), bool(row.failed))]

    def _steps_ended(self, row: Record, children: list[Ended]) -> list[Ended]:
        process = self.graph.at(row.step)
        assert process.steps is not None
        ended: list[Ended] = []
        done = [_last(child.path) for child in children if child.state in readiness.DONE]
        failed = [_last(child.path) for child in children if child.state not in readiness.DONE]
        remaining = row.remaining
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
        known = nodes.states(self.connection, self.id, [_join(scope.path, name) for name in names])
        rows = [
            self._row(scope, process.steps[name], NodeState.UPSTREAM_FAILED)
            for name in names
            if _join(scope.path, name) not in known
        ]
        nodes.add(self.connection, rows)
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

    def activate(self, scope: Record, process: Process, candidates: Iterable[str]) -> list[Ended]:
        """Make READY those of ``candidates`` whose every source is there; returns those that can't."""
        steps = process.steps
        assert steps is not None
        names = list(candidates)
        if not names:
            return []
        needed = set().union(*(steps[name].requires for name in names))
        paths = {_join(scope.path, name): name for name in needed.union(names)}
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
                error.where = error.where or f"step '{_join(scope.path, name)}'"
                row = {**self._row(scope, steps[name], NodeState.FAILED), "error": error.to_dict()}
                rows.append(row)
                ended.append(Ended(row["path"], scope.path, row["step"], NodeState.FAILED, row["error"]))
        nodes.add(self.connection, [{**row, "inputs": row.get("inputs"), "error": row.get("error")} for row in rows])
        return ended

    def _row(self, scope: Record, step: Step, state: NodeState) -> dict[str, Any]:
        kind = "scatter" if step.scatter else "workflow" if step.process.kind is Kind.WORKFLOW else "job"
        return {
            "run_id": self.id,
            "path": _join(scope.path, step.name),
            "parent": scope.path,
            "step": _join(scope.step, step.name),
            "kind": kind,
            "state": state,
        }

    def _values(self, scope: str, steps: set[str]) -> dict[str, Any]:
        """Return what links may start at: a workflow's inputs and its steps' outputs."""
        values = dict(self.engine.inputs_in(self.connection, self.id, scope))
        found = nodes.outputs(self.connection, self.id, [_join(scope, name) for name in steps])
        for path, outputs in found.items():
            step = _last(path)
            values.update(dict.fromkeys(self._ports(scope, step)))
            values.update({f"{step}/{port}": value for port, value in outputs.items()})
        return values

    def _ports(self, scope: str, step: str) -> list[str]:
        """Name every output of a step: one that is skipped gives null."""
        process = self.graph.at(_address(scope))
        assert process.steps is not None
        return [f"{step}/{port}" for port in process.steps[step].outputs]

    # --- messages -------------------------------------------------------------------------------

    def message(self, kind: str, **payload: Any) -> None:
        """Have something published after the commit."""
        self._messages.append((kind, payload))

    def flush(self) -> list[tuple[int, Message]]:
        """Write the messages into the outbox, in this transaction; return them to be sent after it."""
        messages, self._messages = self._messages, []
        return list(zip(outbox.add(self.connection, self.id, messages), messages, strict=True))


def _join(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


def _last(path: str) -> str:
    return path.rpartition("/")[2].partition("[")[0]


def _address(path: str) -> str:
    return "/".join(part.partition("[")[0] for part in path.split("/"))
