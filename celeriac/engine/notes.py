"""Notices of one commit: what changed is noted, and written with the state that it tells of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from celeriac.engine import account
from celeriac.errors import from_dict
from celeriac.graph.model import Process
from celeriac.job.options import RunOptions
from celeriac.journal import notices, runs, views
from celeriac.journal.tables import Record
from celeriac.notify.changes import (
    About,
    Change,
    Facts,
    RunChange,
    StepChange,
    Task,
    dag_id,
    ended_as,
    is_end,
    is_success,
    is_told,
)
from celeriac.notify.cut import cut_short
from celeriac.notify.follow import follow
from celeriac.notify.progress import Part, done
from celeriac.notify.weblog import events
from celeriac.states import NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine
    from celeriac.engine.turn import Ended

#: Among a run's options in the journal: the listener of the settings is told of it, also by who lacks that setting.
HEARD = "heard"
#: Characters of a run's error that are told.
ERROR = 4000


class Notes:
    """What changed of a run within one transaction."""

    def __init__(self, engine: Engine, connection: Connection, run: Record) -> None:
        self._engine = engine
        self._connection = connection
        self._run: str = run.id
        self._state: str = run.state
        self._document: str = run.document
        self._raw: dict[str, Any] = run.options
        self._options: RunOptions = engine.options(run.id, run.options)
        self._changes: list[Change] = []

    @cached_property
    def _graph(self) -> Process:
        return self._engine.document(self._document).graph

    # --- what has happened ----------------------------------------------------------------------

    def steps(self, paths: Iterable[str], state: Task) -> None:
        """Note that steps have come to a state; what listeners are not told of is left out."""
        self._changes += [StepChange(path, state) for path in paths if is_told(path) and self._is_step(path)]

    def _is_step(self, path: str) -> bool:
        """Whether a node is a step: of a run of one tool its root is, of others it is the run's workflow."""
        return bool(path) or self._graph.steps is None

    def ended(self, nodes: Iterable[Ended]) -> None:
        """Note the ends of nodes."""
        for node in nodes:
            self.steps([node.path], ended_as(node.state))

    def queued(self, paths: Iterable[str]) -> None:
        """Note that attempts at steps wait for a worker."""
        self.steps(paths, Task.SUBMITTED)

    def claimed(self, nodes: Iterable[Record]) -> bool:
        """Write that a worker has begun steps, if they are wanted still; returns whether there is anything."""
        if self._state == RunState.RUNNING:
            self.steps((node.path for node in nodes if node.state == NodeState.QUEUED), Task.RUNNING)
        return self.write()

    def again(self, path: str) -> None:
        """Note that a try at a step brought nothing, and that another follows."""
        self.steps([path], Task.UP_FOR_RETRY)

    def blocked(self, paths: Iterable[str]) -> None:
        """Note that steps will not run."""
        self.steps(paths, Task.UPSTREAM_FAILED)

    def began(self) -> None:
        """Note that the run has begun, and keep how the listener of the settings is told of it."""
        settings = self._engine.settings
        if settings.notify_url:
            told = {"weblog": settings.notify_weblog, "signed": bool(settings.notify_key)}
            self._raw = {**self._raw, HEARD: told}
            runs.put(self._connection, self._run, options=self._raw)
        self._changes.append(RunChange(RunState.RUNNING))

    def expanded(self, path: str) -> None:
        """Note that a scatter or workflow has begun; the run's own workflow is no step."""
        for state in (Task.SUBMITTED, Task.RUNNING):
            self.steps([path], state)

    def cut_short(self, at: str = "") -> None:
        """Note what becomes of the parts of a node (or of the run) that is ended: some run, and some never will."""
        self._changes += cut_short(self._graph, notices.parts(self._connection, self._run), at)

    def run_ended(self, state: RunState) -> None:
        """Note that the run has ended."""
        self._changes.append(RunChange(state))

    # --- what is written ------------------------------------------------------------------------

    def write(self) -> bool:
        """Write the notices, within the transaction; returns whether there are any."""
        changes, self._changes = self._changes, []
        if not changes:
            return False
        row = notices.about(self._connection, self._run)
        about = About(row.id, row.name, dag_id(row.workflow, row.name), row.run_id or row.id)
        facts = self._facts(row, changes)
        rows: list[tuple[str, str, dict[str, Any]]] = []
        for target, weblog in self._listeners():
            made = (events if weblog else follow)(about, changes, facts)
            rows += [(notice.route, target, notice.payload) for notice in made]
        signed = bool(self._engine.settings.notify_key or (self._raw.get(HEARD) or {}).get("signed"))
        notices.add(self._connection, self._run, rows, signed=signed)
        return bool(rows)

    def _listeners(self) -> list[tuple[str, bool]]:
        """Return whom to tell, and whether he takes Nextflow's events."""
        settings, own, heard = self._engine.settings, self._options.notify, self._raw.get(HEARD)
        found = [("", settings.notify_weblog)] if settings.notify_url else []
        if heard and not found:  # whoever cancels a run, say, need not have the setting
            found = [("", heard["weblog"])]
        return found + ([(own, self._options.notify_weblog)] if own else [])

    def _facts(self, row: Record, changes: Sequence[Change]) -> Facts:
        ends = any(map(is_end, changes))
        weblog = any(weblog for _, weblog in self._listeners())
        parts = notices.parts(self._connection, self._run) if ends or any(map(is_success, changes)) else []
        facts: dict[str, Any] = {"progress": self._progress(parts) if parts else 0}
        if ends:
            failed = RunState(row.state) is not RunState.SUCCESS
            found = None if failed else runs.result(self._connection, self._run)
            results = found.outputs if found is not None else None
            facts["results"] = results
            facts["error"] = str(from_dict(row.error))[:ERROR] if failed and row.error else ""
            facts["statistics"] = account.statistics(row, parts, results)
            # what a tool was given in secret may be in what it said
            facts["logs"] = self._logs(row, parts) if failed and not self._options.secrets else {}
        if weblog:
            facts["time"] = views.clock(self._connection)
            paths = [change.path for change in changes if isinstance(change, StepChange)]
            rows = notices.traces(self._connection, self._run, paths) if paths else []
            facts["traces"] = {one.path: account.trace(one) for one in rows}
        return Facts(**facts)

    def _progress(self, parts: Sequence[Record]) -> int:
        known = {row.path: self._part(row) for row in parts}
        return int(100 * done(self._graph, known) + 1e-9)

    def _part(self, row: Record) -> Part:
        open_ = row.kind == "scatter" and row.remaining is not None and row.state != NodeState.SUCCESS
        width = views.items(self._connection, self._run, row.path) if open_ else 0
        return Part(row.kind, NodeState(row.state), row.remaining or 0, width)

    def _logs(self, row: Record, parts: Sequence[Record]) -> dict[str, Any]:
        def root(path: str, attempt: str, directory: str | None) -> Any:
            return directory or self._engine.place(self._run, path, attempt, self._options)

        failed = views.first_failures(self._connection, self._run, account.STEPS)
        return account.logs(self._graph, failed, parts, root)
