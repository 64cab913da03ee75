"""Whether a run did its work: one that failed must not be counted as fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.works import Case


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
