"""The runs: every runner in turn, so that a slow minute of the machine falls on all of them."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Measure, measure
from benchmarks.runners import Room, Runner
from benchmarks.verify import problem
from benchmarks.works import Work, startup

Say = Callable[[str], None]


@dataclass
class Result:
    """What one runner did with one work: the right runs, and why there are no more of them."""

    work: Work
    runner: Runner
    runs: list[Measure] = field(default_factory=list)
    note: str = ""  # "not installed", "skipped: ...", "failed: ..."

    @property
    def failed(self) -> bool:
        return self.note.startswith("failed")


@dataclass(frozen=True)
class Limits:
    """How often and how long: ``timeout`` in seconds, None for each work's own."""

    repeat: int = 3
    timeout: float | None = None
    slow_too: bool = False  # give slow runners every work


def plan(works: Sequence[Work], runners: Sequence[Runner], limits: Limits) -> list[Result]:
    """Return an empty result for each pair, work by work, with a note where it won't be measured."""
    return [Result(work, runner, note=_skip(work, runner, limits)) for work in works for runner in runners]


def take_turns(results: Sequence[Result], limits: Limits, say: Say) -> None:
    """Measure what is planned, into the results themselves: an interrupt leaves what there is."""
    for work in dict.fromkeys(result.work for result in results):
        _measure_work(work, [r for r in results if r.work is work], limits, say)


def _skip(work: Work, runner: Runner, limits: Limits) -> str:
    if runner.program is None:
        return "not installed"
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


def _measure_work(work: Work, results: list[Result], limits: Limits, say: Say) -> None:
    for turn in range(1 if work.once else limits.repeat):
        first = turn % len(results)
        for result in results[first:] + results[:first]:
            if result.note:
                continue
            run, result.note = _one_run(result.runner, work, limits, say)
            if run is not None:
                result.runs.append(run)
            say(f"{work.name}, turn {turn + 1}, {result.runner.name}: {_outcome(run, result.note)}")


def _outcome(run: Measure | None, note: str) -> str:
    if run is None:
        return note
    left = f", processes left behind: {run.left_behind}" if run.left_behind else ""
    return f"{run.seconds:.2f} s, {run.tree_peak / 2**20:.0f} MiB{left}"


def _one_run(runner: Runner, work: Work, limits: Limits, say: Say) -> tuple[Measure | None, str]:
    """Run a small other document first, then the work, in folders that only these two use."""
    root = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        room = Room(root)
        _, note = _run(runner, startup.warm_up(), room, limits.timeout, say)
        if note:
            return None, note.replace("failed", "failed in the warm-up", 1)
        return _run(runner, work, room, limits.timeout, say)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run(
    runner: Runner, work: Work, room: Room, timeout: float | None, say: Say
) -> tuple[Measure | None, str]:
    name = work.name
    files = room.folder(f"{name}-in")
    case = work.write(files, random.randrange(10**6, 10**7))
    outdir = room.folder(f"{name}-out")
    stdout, stderr = files / "stdout", files / "stderr"
    run = measure(
        runner.command(case, outdir, room),
        env=runner.environment(room),
        cwd=files,
        stdout=stdout,
        stderr=stderr,
        timeout=timeout or work.timeout,
    )
    note = _failure(run) or problem(stdout.read_text(errors="replace"), case, outdir)
    if not note:
        return run, ""
    if log := _tail(stderr):
        say(log)
    return None, f"failed: {note}"


def _failure(run: Measure) -> str:
    if run.timed_out:
        return f"not ended after {run.seconds:.0f} s"
    return f"exit {run.exit_code}" if run.exit_code else ""


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
