"""A run as it is at one moment, for everything that shows runs."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from celeriac.cli.look import between, duration
from celeriac.cli.steps import DONE, RunView, view
from celeriac.container.process_name import is_abandoned
from celeriac.journal import views
from celeriac.states import RUN_ENDED, NodeState, RunState


@dataclass(frozen=True)
class Moment:
    """A run as it is just now. Times are the journal's."""

    run: str
    name: str  # the document's file name
    state: RunState
    created: float
    started: float | None
    ended: float | None
    now: float
    error: dict[str, Any] | None
    view: RunView
    interrupted: bool = False  # nobody looks after it: the process of its `celeriac run` has died
    failures: tuple[Any, ...] = ()  # the latest, as celeriac.journal.views.failures returns them

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.state in RUN_ENDED

    @property
    def seconds(self) -> float:
        """How long it took or has taken, since it was submitted."""
        return between(self.created, self.ended or self.now) or 0.0

    @property
    def waiting(self) -> int:
        """How many steps wait for the outputs of others and are not in the journal yet."""
        return 0 if self.over else self.view.waiting

    @property
    def total(self) -> int:
        """How many jobs there are; a step that waits counts as one."""
        return sum(self.view.jobs().values()) + self.waiting

    def count(self, *states: NodeState) -> int:
        """Count the jobs that are in one of these states."""
        jobs = self.view.jobs()
        return sum(jobs.get(state, 0) for state in states)

    def counts(self) -> str:
        """Say in words how many jobs are where."""
        parts = [f"{self.count(*DONE)} of {self.total} jobs done"]
        for state, word in ((NodeState.RUNNING, "running"), (NodeState.FAILED, "failed")):
            number = self.count(state)
            parts += [f"{number} {word}"] if number else []
        reused = sum(step.reused for step in self.view.steps)
        parts += [f"{reused} reused"] if reused else []
        return ", ".join(parts)

    def summary(self) -> str:
        """Say in one line how far it is."""
        return f"{self.name} ({self.run}) is {self.state}: {self.counts()} in {duration(self.seconds)}"


def is_interrupted(row: Any) -> bool:
    """Whether a run that has not ended has nobody who goes on with it."""
    return row.state not in RUN_ENDED and is_abandoned(row.keeper, socket.gethostname())


def moment(database: Any, run: str, failures: int | None = 0) -> Moment | None:
    """Look at a run now; ``failures`` is how many to tell, None for all. None when there is no such run."""
    with database.read() as connection:
        row = views.run(connection, run)
        if row is None:
            return None
        now = views.clock(connection)
        seen = view(views.steps(connection, run))
        failed = failures != 0 and any(step.failed or step.state is NodeState.FAILED for step in seen.steps)
        found = tuple(views.failures(connection, run, failures)) if failed else ()
    return Moment(
        run=row.id,
        name=row.name,
        state=RunState(row.state),
        created=row.created,
        started=row.started,
        ended=row.ended,
        now=now,
        error=row.error,
        view=seen,
        interrupted=is_interrupted(row),
        failures=found,
    )
