"""Where runs and attempts keep their files. Anybody who shares the settings finds the same place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from celeriac.job.options import RunOptions


@dataclass(frozen=True)
class Place:
    """The directories of one attempt.

    ``shared`` is a temporary directory that it has after others and before others, one at a time.
    """

    root: Path
    shared: Path | None = None

    @property
    def out(self) -> Path:
        """The designated output directory on the host."""
        return self.root / "out"

    @property
    def tmp(self) -> Path:
        """The designated temporary directory on the host."""
        return self.shared or self.root / "tmp"

    @property
    def stage(self) -> Path:
        """Where inputs are linked for a plain process."""
        return self.root / "in"

    @property
    def stdout(self) -> Path:
        """The log of what the tool prints, unless it names a file."""
        return self.root / "stdout.log"

    @property
    def stderr(self) -> Path:
        """The log of what the tool says on standard error, unless it names a file."""
        return self.root / "stderr.log"


def run_directory(runs: Path, run: str, options: RunOptions) -> Path:
    """Return a run's own directory, under ``runs`` (of the settings) unless the run has a place of its own."""
    return (Path(options.scratch) if options.scratch else runs) / run


def attempt_directory(runs: Path, run: str, path: str, attempt: str, options: RunOptions) -> Path:
    """Return an attempt's own directory: known before the attempt starts, so that its logs can be followed."""
    # no brackets: the directory's name becomes part of the patterns that outputs are found by
    readable = re.sub(r"[^\w.-]+", ".", path).strip(".")[-100:] or "main"
    return run_directory(runs, run, options) / f"{readable}-{attempt[:13]}"
