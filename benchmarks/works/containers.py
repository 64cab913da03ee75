"""A scatter of commands in containers: what a container costs on top."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, scattered_echo

IMAGE = "alpine"


def work(count: int) -> Work:
    """Return the work of ``count`` echoes, each in a container of its own."""

    def write(folder: Path, seed: int) -> Case:
        container = {"DockerRequirement": {"dockerPull": IMAGE}}
        return scattered_echo(folder, seed, count, requirements=container)

    return Work(
        f"containers-{count}", steps=count, write=write, timeout=120 + 5 * count, small=False, image=IMAGE
    )
