"""The runs: every runner in turn, so that a slow minute of the machine falls on all of them."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster import Unavailable
from benchmarks.gauges import Gauge
from benchmarks.measure import Measure, measure
from benchmarks.outcomes import Reading, Result
from benchmarks.runners import Room, Runner
from benchmarks.tables import number
from benchmarks.targets import OURS
from benchmarks.verify import LATE, failure
from benchmarks.works import Work, startup

Say = Callable[[str], None]

#: Turns that a peer may fail at a work before it has done it once.
CHANCES = 2
_FAILED = "failed: "


@dataclass(frozen=True)
class Seat:
    """One runner before one work, with the result that its turns go to."""

    work: Work
    runner: Runner
    result: Result


@dataclass(frozen=True)
class Limits:
    """How often and how long: ``timeout`` in seconds, None for each work's own."""

    repeat: int = 5
    timeout: float | None = None
    slow_too: bool = False  # give slow runners every work


def plan(works: Sequence[Work], runners: Sequence[Runner], limits: Limits) -> list[Seat]:
    """Return an empty result for each pair, work by work, with a note where it won't be measured."""
    return [_seat(work, runner, limits) for work in works for runner in runners]


def take_turns(seats: Sequence[Seat], limits: Limits, folder: Path, say: Say) -> None:
    """Measure what is planned, into the results themselves: an interrupt leaves what there is.

    What the runs leave in ``folder`` is the caller's to remove, at the end of all: see :mod:`benchmarks.files`.
    """
    for work in dict.fromkeys(seat.work for seat in seats):
        _measure_work(work, [seat for seat in seats if seat.work is work], limits, folder, say)


def read(gauge: Gauge, reading: Reading, limits: Limits, folder: Path, say: Say) -> None:
    """Take a gauge's turns, into the reading itself; what it leaves in ``folder`` is the caller's to remove."""
    own = Path(tempfile.mkdtemp(dir=folder))
    try:
        for turn in gauge.take(own, limits.repeat, limits.timeout or gauge.timeout):
            reading.turns.append(turn)
            shown = ", ".join(f"{name}: {number(value)}" for name, value in turn.items())
            say(f"{gauge.name}, turn {len(reading.turns)}, {shown}")
    except Unavailable as error:
        reading.note = f"not measured: {error}"
        say(f"{gauge.name}: {reading.note}")
    except Exception as error:  # the other works are worth their report
        reading.note = f"failed: {type(error).__name__}"
        say(f"{gauge.name}: failed: {error}")
        for log in sorted(own.glob("worker-*.log")):
            say(_tail(log))


def _seat(work: Work, runner: Runner, limits: Limits) -> Seat:
    note = _skip(work, runner, limits)
    return Seat(work, runner, Result(work.name, runner.name, note=note, title=work.title))


def _skip(work: Work, runner: Runner, limits: Limits) -> str:
    if runner.program is None:
        return "not installed"
    if work.loads and runner.load_code is None:
        return "skipped: can't only load"
    if runner.slow and not work.small and not limits.slow_too:
        return "skipped: slow"
    if work.image and not _has_image(work.image):
        return f"skipped: no image {work.image} here"
    return ""


def _has_image(image: str) -> bool:
    try:
        return not subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode
    except OSError:
        return False


def _measure_work(work: Work, seats: list[Seat], limits: Limits, folder: Path, say: Say) -> None:
    for turn in range(limits.repeat):
        first = turn % len(seats)
        for seat in seats[first:] + seats[:first]:
            if goes_on(seat.result) and (turn == 0 or not work.once or seat.runner.name == OURS):
                run, note = _one_run(seat.runner, work, limits, folder, say)
                add(seat.result, run, note)
                say(f"{work.name}, turn {turn + 1}, {seat.runner.name}: {_outcome(run, note)}")


def goes_on(result: Result) -> bool:
    """Tell whether a runner gets its next turn: not one that is left out, nor we once we have failed.

    A peer that fails now and then does, but for one that has taken too long, or that was never right.
    """
    if result.runner == OURS or not result.failures:
        return not result.note
    return (bool(result.runs) or len(result.failures) < CHANCES) and not result.failures[-1].startswith(LATE)


def add(result: Result, run: Measure | None, note: str) -> None:
    """Take in a turn: a right run, or why it failed. A peer's failure is no note beside right runs."""
    if run is not None:
        result.runs.append(run)
    else:
        result.failures.append(note.removeprefix(_FAILED))
    result.note = f"{_FAILED}{result.failures[0]}" if result.failures and _spoils(result) else ""


def _spoils(result: Result) -> bool:
    return result.runner == OURS or not result.runs


def _outcome(run: Measure | None, note: str) -> str:
    if run is None:
        return note
    left = f", processes left behind: {run.left_behind}" if run.left_behind else ""
    return f"{run.seconds:.2f} s, {run.tree_peak / 2**20:.0f} MiB{left}"


def _one_run(
    runner: Runner, work: Work, limits: Limits, folder: Path, say: Say
) -> tuple[Measure | None, str]:
    """Run a small other document first, then the work, in folders that only these two use."""
    room = Room(Path(tempfile.mkdtemp(dir=folder)))
    _, note = _run(runner, startup.warm_up(), room, limits.timeout, say)
    if note:
        return None, f"{note}, in the warm-up"
    return _run(runner, work, room, limits.timeout, say)


def _run(
    runner: Runner, work: Work, room: Room, timeout: float | None, say: Say
) -> tuple[Measure | None, str]:
    name = work.name
    files = room.folder(f"{name}-in")
    case = work.write(files, random.randrange(10**6, 10**7))
    outdir = room.folder(f"{name}-out")
    stdout, stderr = files / "stdout", files / "stderr"
    run = measure(
        runner.command_for(work, case, outdir, room),
        env=runner.environment(room),
        cwd=files,
        stdout=stdout,
        stderr=stderr,
        timeout=timeout or work.timeout,
    )
    code = runner.load_code if work.loads else None
    note = failure(run, stdout.read_text(errors="replace"), case, outdir, load_code=code)
    if not note:
        return run, ""
    if log := _tail(stderr):
        say(log)
    return None, f"{_FAILED}{note}"


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
