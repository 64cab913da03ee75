"""Whether a run did its work: one that failed must not be counted as fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.measure import Measure
from benchmarks.works import Case

#: What the sentence about a run begins with that took too long.
LATE = "not ended"


def failure(run: Measure, stdout: str, case: Case, outdir: Path, load_code: int | None = None) -> str:
    """Return what is wrong with a run, or "" when it did all of its work.

    ``load_code``: the exit code with which a run that was to load has to end; with another one than 0 the
    first step must have started. The sentence names no path, since it goes into the report.
    """
    if run.timed_out:
        return f"{LATE} after {run.seconds:.0f} s"
    if run.exit_code != (load_code or 0):
        return f"exit {run.exit_code}"
    if load_code is None:
        return problem(stdout, case, outdir)
    assert case.started is not None
    return "" if not load_code or case.started.exists() else "the first step did not start"


def problem(stdout: str, case: Case, outdir: Path) -> str:
    """Return what is wrong with the outputs of a run, or "" when all files are there and right.

    The sentence names no path, since it goes into the report.
    """
    try:
        output = json.loads(stdout)["out"]
    except (ValueError, TypeError, LookupError):
        return "no output object with 'out'"
    files = output if isinstance(output, list) else [output]
    if len(files) != len(case.expected):
        return f"{len(files)} files instead of {len(case.expected)}"
    for index, (file, expected) in enumerate(zip(files, case.expected, strict=True)):
        if found := _difference(file, expected, outdir):
            return f"file {index}: {found}"
    return ""


def _difference(file: Any, expected: str, outdir: Path) -> str:
    if not isinstance(file, dict) or file.get("class") != "File":
        return "no File"
    path = _path(file)
    if outdir.resolve() not in path.parents:
        return "not in the output folder"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        return f"not readable ({type(error).__name__})"
    return "" if text == expected else f"{text[:40]!r} instead of {expected[:40]!r}"


def _path(file: dict[str, Any]) -> Path:
    location = str(file.get("location", ""))
    place = unquote(urlsplit(location).path) if location.startswith("file:") else str(file.get("path", ""))
    return Path(place).resolve()
