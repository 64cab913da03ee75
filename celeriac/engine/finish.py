"""The end of a run: publish its outputs, write its last state, tell who waits."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celeriac.engine import secret
from celeriac.engine.reuse import release
from celeriac.engine.turn import Turn
from celeriac.errors import Cancelled, CeleriacError, JournalUnavailable, StepFailed
from celeriac.job.fence import Fence
from celeriac.job.options import RunOptions
from celeriac.job.publish import printable, publish
from celeriac.journal import nodes, runs
from celeriac.journal.tables import Record
from celeriac.states import RUN_ENDED, NodeState, RunState

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


def finish(engine: Engine, run: str) -> None:
    """Publish the outputs of a run whose root has ended and write its last state.

    To do so twice is the same as once; when another worker does it now, it is left to that one.
    """
    with engine.database.read() as connection:
        row = runs.short(connection, run)
    if row is None or row.state != RunState.RUNNING:
        return
    options = engine.options(run, row.options)
    scratch = engine.directory(run, options)
    with _alone(scratch) as alone:
        # the outputs are gone when it returns: whoever waits for the run reads them anew
        state = _finish(engine, run, row, options) if alone else None
        if state is None:
            return
        if options.cleanup and state is RunState.SUCCESS and release(engine, run):
            shutil.rmtree(scratch, ignore_errors=True)
        engine.on_end(run)


@contextmanager
def _alone(directory: Path) -> Iterator[bool]:
    """Yield whether nobody else publishes this run's outputs now. A dead process holds no such lock."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / ".publishing").open("w")
    except OSError:  # what publishes next says so better
        yield True
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except OSError as error:
            alone = not isinstance(error, BlockingIOError)  # some file systems have no locks
        yield alone


class _Wanted:
    """Called while outputs are published; it asks the journal seldom whether they are wanted still."""

    def __init__(self, engine: Engine, run: str) -> None:
        self._engine = engine
        self._run = run
        self._asked = time.monotonic()

    def __call__(self) -> None:
        """Raise :class:`~celeriac.errors.Cancelled` when the run is no longer under way."""
        now = time.monotonic()
        if now - self._asked < self._engine.settings.cancel_poll:
            return
        self._asked = now
        with suppress(JournalUnavailable), self._engine.database.read() as connection:
            row = runs.short(connection, self._run)
            if row is None or row.state != RunState.RUNNING:
                raise Cancelled(f"run {self._run} is no longer under way")


def _finish(engine: Engine, run: str, row: Record, options: RunOptions) -> RunState | None:
    """Return the run's last state; None where it was not for this call to end it."""
    with engine.database.read() as connection:
        root = nodes.end(connection, run, "")
    if root is None:
        return None
    engine.on_steps_end(run)
    failed = root.state != NodeState.SUCCESS
    outputs: dict[str, Any] | None = root.outputs
    error: dict[str, Any] | None = row.error or root.error if failed else None
    scratch = engine.directory(run, options)
    if outputs is not None and (not failed or options.on_error == "continue"):
        outdir = Path(options.outdir) if options.outdir else scratch / "outputs"
        try:
            found = publish(
                outputs, outdir, scratch, run, checksums=options.compute_checksum, reach=engine.reach,
                check=_Wanted(engine, run), fence=Fence.of(options, scratch),
            )  # fmt: skip
            outputs = printable(found)
        except Cancelled:
            return None
        except CeleriacError as problem:
            failed, error, outputs = True, problem.to_dict(), None
        except Exception as problem:  # a bug: the run must end all the same, and name it
            failure = StepFailed(f"the outputs can't be published: {type(problem).__name__}: {problem}")
            failed, error, outputs = True, failure.to_dict(), None
    else:
        outputs = None
    state = RunState.FAILED if failed else RunState.SUCCESS
    with engine.database.begin() as connection:
        locked = runs.lock(connection, run)
        if locked is None or locked.state != RunState.RUNNING:
            return None
        turn = Turn(engine, connection, locked)
        runs.change(connection, run, RunState.RUNNING, state, outputs=outputs, error=error)
        tell(turn, state)
        messages = turn.flush()
    engine.send(run, messages)
    return state


def end(turn: Turn) -> None:
    """End a run that was stopped or cancelled, once nothing of it runs any more."""
    cut_short(turn)
    new = RunState.CANCELED if turn.state is RunState.CANCELING else RunState.FAILED
    runs.change(turn.connection, turn.id, turn.state, new, error=turn.error)
    turn.state = new
    tell(turn, new)


def cut_short(turn: Turn) -> None:
    """End what is open of a run that is about to be ended."""
    if turn.notes is not None:
        turn.notes.cut_short()
    nodes.cancel_open(turn.connection, turn.id)


def tell(turn: Turn, state: RunState) -> None:
    """Have whoever waits for the run, and its listeners, told that it has ended so; its secret values go."""
    secret.forget(turn.engine, turn.id, turn.engine.options(turn.id, turn.run.options))
    if turn.notes is not None:
        turn.notes.run_ended(state)
    if turn.run.reply:
        turn.message("reply", **turn.run.reply)


def ended(state: str) -> bool:
    """Return whether a run in this state has ended."""
    return RunState(state) in RUN_ENDED
