"""A scatter of commands in containers: what a container costs on top."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, scattered_echo

IMAGE = "alpine"


#: What has Celeriac run the items of a scatter in one container, one after another.
REUSE = "--reuse-container"


def work(count: int) -> Work:
    """Return the work of ``count`` echoes, each in a container of its own."""
    return _work(f"containers-{count}", f"{count:,} containers", count)


def reused(count: int) -> Work:
    """Return the same work, for which Celeriac alone may use a container again."""
    return _work(f"containers-reused-{count}", f"{count:,} containers, reused", count, REUSE)


def _work(name: str, title: str, count: int, *options: str) -> Work:

    def write(folder: Path, seed: int) -> Case:
        container = {"DockerRequirement": {"dockerPull": IMAGE}}
        return scattered_echo(folder, seed, count, requirements=container)

    return Work(
        name,
        title=title,
        steps=count,
        write=write,
        timeout=120 + 5 * count,
        small=False,
        image=IMAGE,
        options=options,
    )
