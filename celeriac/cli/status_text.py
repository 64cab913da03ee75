"""What `celeriac status` prints for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from celeriac.cli.lines import count
from celeriac.cli.look import RunFiles, between, duration, error_of, when
from celeriac.cli.table import show
from celeriac.errors import CeleriacError
from celeriac.job.failure import Failure, facts
from celeriac.states import NodeState

if TYPE_CHECKING:
    from celeriac.cli.moment import Moment
    from celeriac.cli.steps import StepView

_HEADS = ("STEP", "STATE", "JOBS", "TIME", "QUEUE", "HOST", "EXIT")


def tell(seen: Moment, files: RunFiles, jobs: Sequence[Any] | None, first: Failure | None) -> None:
    """Print a run, its steps (or each of its ``jobs``, if they are given) and its failures, one of them in full."""
    print(f"{seen.name} ({seen.run}) is {seen.state}")
    ended = f", ended {when(seen.ended)}" if seen.ended else ""
    print(f"  submitted {when(seen.created)}{ended}, {duration(seen.seconds)}; {seen.counts()}")
    if seen.interrupted:
        print(f"  interrupted: the process that ran it is gone; `celeriac resume {seen.run}` goes on with it")
    if jobs is None:
        rows = [_step(step, seen) for step in seen.view.steps]
    else:
        rows = [_job(row, seen) for row in jobs]
    if rows:
        print()
        show(_HEADS, rows)
    if seen.waiting:
        print(f"\n{seen.waiting} more {'steps wait' if seen.waiting > 1 else 'step waits'} for the outputs of these.")
    _failures(seen, files, first)


def _step(step: StepView, seen: Moment) -> tuple[str, ...]:
    return (
        step.step or seen.name,
        str(step.state),
        ("reused" if step.reused else "") if step.single or not step.total else count(step),
        duration(between(step.started, step.ended or seen.now)),
        step.queue or "",
        (step.host or "") if step.hosts < 2 else "several",
        "" if step.exit_code is None else str(step.exit_code),
    )


def _job(row: Any, seen: Moment) -> tuple[str, ...]:
    return (
        row.path or seen.name,
        row.state,
        "reused" if row.reused else f"attempt {row.number}" if (row.number or 1) > 1 else "",
        duration(between(row.started, row.ended or seen.now)),
        row.queue or "",
        row.host or "",
        "" if row.exit_code is None else str(row.exit_code),
    )


def _failures(seen: Moment, files: RunFiles, first: Failure | None) -> None:
    told = set()
    if first is not None:
        lines = [*_words(first.error).splitlines(), *facts(first, lambda row: files.of_attempt(*_names(row)).root)]
        print(f"\n{first.path or seen.name} failed")
        print(_indent("\n".join(lines)))
        told.add(first.error.message)
    others = [row for row in seen.failures if first is None or row.path != first.path]
    if others:
        print()
    for row in others:
        message, title = str(row.error.get("message", "")).partition("\n")[0], row.path or seen.name
        print(message if title in message else f"{title}: {message}")
        told.add(row.error.get("message"))
    jobs = sum(row.kind == "job" for row in others) + (first is not None)
    more = seen.count(NodeState.FAILED) - jobs
    if more > 0:
        print(f"{'' if others else chr(10)}{more} more failed: --all shows them.")
    error = error_of(seen)  # of the run itself, such as outputs that can't be written
    if error is not None and error.message not in told:
        print(f"\n{error}")


def _words(error: CeleriacError) -> str:
    return f"{error.message}\n{error.hint}".strip()


def _names(row: Any) -> tuple[str, str, str | None]:
    return row.path, row.id, row.directory


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
