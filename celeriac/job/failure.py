"""A failed step in words: every attempt at it, the command, the image, and where its logs are. Pure but for `find`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from celeriac.errors import CeleriacError, from_dict
from celeriac.job.place import Place
from celeriac.journal import views
from celeriac.states import AttemptState, Outcome

#: Characters of a command line, and of an earlier attempt's reason, that are shown.
COMMAND = 600
REASON = 160
#: Attempts that are told of: the first ones and the last.
ATTEMPTS = 6
#: Failures looked through for the one that the run names as its cause.
_LOOKED_AT = 64

#: How an attempt ended, by its error: said sooner than an exit code, which these have too.
_ERRORS = {
    "CommandNotFound": "its program was not found",
    "ImageNotFound": "its image can't be had",
    "EngineUnreachable": "the container engine went away",
    "NameTaken": "another attempt was still there",
    "KilledFromOutside": "ended from outside",
    "TimeLimitExceeded": "its time was over",
    "MountRefused": "a mount was refused",
    "HostTooSmall": "its host is too small",
    "DiskFull": "no room on a disk",
}
_OUTCOMES = {
    Outcome.SUCCESS: "success",
    Outcome.CANCELED: "its worker ended",
    "handedBack": "handed back, since its worker was told to end",
    Outcome.INFRASTRUCTURE: "its worker, engine or host failed",
}
_STATES = {
    AttemptState.QUEUED: "waits",
    AttemptState.RUNNING: "runs",
    AttemptState.LOST: "its worker was lost",
    AttemptState.CANCELED: "cancelled",
}


@dataclass(frozen=True)
class Failure:
    """The step that a run failed by, and how many failed beside it."""

    path: str
    error: CeleriacError
    tries: Sequence[Any]  # rows of celeriac.journal.views.tried
    others: int = 0


def find(connection: Connection, run: str, cause: Mapping[str, Any] | None) -> Failure | None:
    """Return the failure that is a run's ``cause`` (its error), else the first; None: no step failed."""
    rows = views.first_failures(connection, run, _LOOKED_AT)
    if not rows:
        return None
    row = next((row for row in rows if row.error == cause), rows[0])
    others = views.failed(connection, run) - 1
    return Failure(row.path, from_dict(row.error), views.tried(connection, run, row.path), others)


def text(error: CeleriacError, failure: Failure | None, root: Callable[[Any], Path], run: str) -> str:
    """Return all that is to be said of a run that failed with ``error``, in lines; the first has no indent.

    ``root`` tells the directory of an attempt.
    """
    if failure is None:
        return str(error)
    if failure.error.message != error.message:  # it is not by this that the run failed, such as outputs without room
        return f"{error}\n  {failure.others + 1} failed before that: `celeriac status {run}` tells more"
    others = f"{failure.others} more failed: " if failure.others else ""
    return "\n  ".join((str(error), *facts(failure, root), f"{others}`celeriac status {run}` tells more"))


def facts(failure: Failure, root: Callable[[Any], Path]) -> list[str]:
    """Return what is known of a failed step beside its error's message and hint, a line each."""
    told = str(failure.error)
    lines = [] if not failure.path or failure.path in told else [f"the step is {failure.path}"]
    lines += _attempts(failure.tries, failure.error.message)
    fields = failure.error.fields
    if isinstance(fields.get("command"), list):
        lines.append(f"command: {command(fields['command'])}")
    if fields.get("image") and fields["image"] not in failure.error.message:
        lines.append(f"image: {fields['image']}")
    return lines + _logs(failure, root)


def command(argv: Sequence[Any], most: int = COMMAND) -> str:
    """Return a command line as a shell takes it; a long one is cut, and says so."""
    # no more words than can be shown: a command line may have many thousand
    words = [shlex.quote(str(word)[: most + 1]) for word in argv[: most + 1]]
    whole = " ".join(words).replace("\n", "\\n")
    length = sum(len(str(word)) + 1 for word in argv)
    return whole if len(whole) <= most else f"{whole[:most]} ... (cut: {len(argv)} words, {length} characters)"


def _logs(failure: Failure, root: Callable[[Any], Path]) -> list[str]:
    """Say where the tool's output is; an expression has none."""
    fields, last = failure.error.fields, failure.tries[-1] if failure.tries else None
    ran = last is not None and last.started is not None and (last.state == AttemptState.LOST or "stderr" in fields)
    if not ran:
        return []
    place = Place(root(last))
    usual = {"stderr": place.stderr, "stdout": place.stdout}
    paths = [Path(fields.get(stream, path)) for stream, path in usual.items()]
    if paths == list(usual.values()):
        return [f"its logs are in {place.root}"]
    names = " and ".join(str(path.relative_to(place.root)) for path in paths if path.is_relative_to(place.root))
    return [f"its logs, {names}, are in {place.root}"]


# --- attempts ------------------------------------------------------------------------------------


def _attempts(tries: Sequence[Any], told: str) -> list[str]:
    shown = list(tries)
    if len(shown) > ATTEMPTS:
        shown = shown[: ATTEMPTS - 1] + shown[-1:]
    lines = [_attempt(row, told) for row in shown]
    if len(shown) < len(tries):
        lines.insert(-1, f"... {len(tries) - len(shown)} more attempts")
    return lines


def _attempt(row: Any, told: str) -> str:
    where = f"queue {row.queue}" + (f" on {row.host}" if row.host else "")
    reason = _reason(row)
    return f"attempt {row.number} ({where}): {verdict(row)}" + (f": {reason}" if reason and reason not in told else "")


def verdict(row: Any) -> str:
    """Say in a few words how an attempt ended."""
    if row.state == AttemptState.LOST or row.outcome is None:
        return _STATES.get(row.state, str(row.state))
    if row.outcome == Outcome.OUT_OF_MEMORY:
        return "out of memory" + (f": had {row.granted['ram']} MiB" if row.granted else "")
    kind = (row.error or {}).get("type", "")
    if kind in _ERRORS:
        return _ERRORS[kind]
    if row.outcome == Outcome.INFRASTRUCTURE and kind == "StepFailed":
        return "a fault of Celeriac's own"
    if row.outcome in _OUTCOMES:
        return _OUTCOMES[row.outcome]
    if row.exit_code is None:
        return "failed"
    temporary = ", which may pass" if row.outcome == Outcome.TEMPORARY else ""
    return f"exit code {row.exit_code}{temporary}"


def _reason(row: Any) -> str:
    """Return the message of an attempt that failed by no fault of the tool: its verdict alone says too little."""
    if row.outcome != Outcome.INFRASTRUCTURE or not row.error:
        return ""
    message = str(row.error.get("message", "")).partition("\n")[0]
    return message if len(message) <= REASON else message[: REASON - 3] + "..."
