"""One echo: what it costs to start and to end."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, echo, save


def work() -> Work:
    """Return the work of a single tool."""
    return Work("startup", title="one echo", steps=1, write=_write, timeout=120, small=True)


def warm_up() -> Work:
    """Return a work like it, for the run before each measured one.

    Its document is another one, so that it warms the program and not what it remembers of documents.
    """
    return Work("warm-up", steps=1, write=_write_other, timeout=120, small=True)


def _write(folder: Path, seed: int, **fields: str) -> Case:
    word = f"hello {seed}"
    return Case(
        document=save(folder / "echo.cwl", echo(**fields)),
        job=save(folder / "job.json", {"word": word}),
        expected=(f"{word}\n",),
    )


def _write_other(folder: Path, seed: int) -> Case:
    return _write(folder, seed, doc="Not the document that is measured.")
