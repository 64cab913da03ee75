"""One pass of cwltest over the suite, and what came of it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNNERS = {"celeriac": ["celeriac", "run"], "cwltool": ["cwltool"]}

_STARTED = re.compile(r"^Test \[(?P<number>\d+)/(?P<total>\d+)\] (?P<name>[^\s:]+)")
_FAILED = re.compile(r"^Test (?P<number>\d+) (?:failed|timed out)")
_UNSUPPORTED = re.compile(r"(?P<count>\d+) unsupported features?$")


@dataclass(frozen=True)
class Outcome:
    """A pass over the suite or a part of it."""

    runner: str
    seconds: float
    suite: int  # tests that the suite has
    started: int  # tests that were run
    failures: tuple[str, ...]  # their names
    unsupported: int  # tests of optional features that the runner declined
    exit_code: int  # cwltest's: the one that counts
    log: Path

    @property
    def passed(self) -> int:
        """Tests that did what they should."""
        return self.started - len(self.failures) - self.unsupported

    def __str__(self) -> str:
        part = "" if self.started == self.suite else f" ({self.started} were run)"
        lines = [f"{self.runner}: {self.passed} passed of {self.suite}{part} in {self.seconds:.1f} s"]
        if self.unsupported:
            lines.append(f"  unsupported: {self.unsupported}")
        lines += [f"  failed: {name}" for name in self.failures]
        if self.exit_code and not self.failures:
            last = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
            lines.append(f"  cwltest ended with {self.exit_code}: {last}")
        if self.exit_code:
            lines.append(f"  see {self.log}")
        return "\n".join(lines)


def measure(
    runner: str,
    tests: Path,
    *,
    jobs: int,
    selection: Sequence[str],
    settings: Mapping[str, str],
    results: Path,
    label: str,
) -> Outcome:
    """Run the suite's ``tests`` with ``jobs`` at once; ``selection`` goes to cwltest as it is.

    Leaves cwltest's log and JUnit file in ``results`` as ``label``.log and .xml. Tests write into a
    temporary folder that is gone afterwards.
    """
    log = results / f"{label}.log"
    with tempfile.TemporaryDirectory(prefix="cwl-", ignore_cleanup_errors=True) as scratch:
        argv = [
            _program("cwltest"),
            *("--test", str(tests), "--tool", str(_tool(runner, Path(scratch)))),
            *(f"-j{jobs}", "--junit-xml", str(results / f"{label}.xml"), *selection),
        ]
        environment = {**os.environ, **settings, "TMPDIR": scratch}
        started = time.monotonic()
        with log.open("w") as output:
            done = subprocess.run(argv, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
        seconds = time.monotonic() - started
    return _read(runner, seconds, done.returncode, log)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _tool(runner: str, folder: Path) -> Path:
    """One executable that is the whole command: cwltest calls its tool without arguments in front."""
    program, *arguments = RUNNERS[runner]
    wrapper = folder / runner
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join([_program(program), *arguments])} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def _read(runner: str, seconds: float, exit_code: int, log: Path) -> Outcome:
    # The log, because the JUnit file gives a part of the suite the names of its first tests, and
    # takes a test that should fail and did not for a success.
    names: dict[str, str] = {}
    failed: list[str] = []
    suite = unsupported = 0
    for line in log.read_text(errors="replace").splitlines():
        if match := _STARTED.match(line):
            names[match["number"]] = match["name"]
            suite = int(match["total"])
        elif match := _FAILED.match(line):
            failed.append(match["number"])
        elif match := _UNSUPPORTED.search(line):
            unsupported = int(match["count"])
    failures = tuple(names.get(number, number) for number in sorted(set(failed), key=int))
    return Outcome(runner, seconds, suite, len(names), failures, unsupported, exit_code, log)
