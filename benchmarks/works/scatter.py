"""Many independent commands: what a step costs, and whether that grows with their number."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, scattered_echo


def work(count: int) -> Work:
    """Return the work of ``count`` echoes, one for each item of an array in the job."""

    def write(folder: Path, seed: int) -> Case:
        return scattered_echo(folder, seed, count)

    return Work(
        f"scatter-{count}",
        title=f"scatter of {count:,}",
        steps=count,
        write=write,
        timeout=120 + 0.2 * count,
        small=count <= 100,
    )
