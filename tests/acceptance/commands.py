"""Runs `celeriac` as people do: the installed command, in a directory and with a home of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CELERIAC = Path(sys.executable).with_name("celeriac")

#: A bound on a hang, in seconds; nothing here takes so long.
HANG = 120

#: A scatter whose items print to both streams, wait for a file if one is named, and may fail.
NUMBERS = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs:
  count: {type: int, default: 3}
  fail: {type: int, default: -1}
  gate: {type: string, default: /}
outputs:
  all: {type: string, outputSource: join/joined}
steps:
  numbers:
    in: {count: count}
    out: [list]
    run:
      class: ExpressionTool
      inputs: {count: int}
      outputs: {list: 'int[]'}
      expression: '${var l = []; for (var i = 0; i < inputs.count; i++) l.push(i); return {list: l};}'
  work:
    in: {i: numbers/list, fail: fail, gate: gate}
    scatter: i
    out: [number]
    run:
      class: CommandLineTool
      requirements: {InlineJavascriptRequirement: {}}
      baseCommand: [sh, -c]
      arguments:
        - |
          echo "begin $(inputs.i)"; echo "remark $(inputs.i)" >&2
          until [ -e "$(inputs.gate)" ]; do sleep 0.05; done
          echo "end $(inputs.i)"; echo $(inputs.i) > number.txt
          [ $(inputs.i) != $(inputs.fail) ] || exit 7
      inputs: {i: int, fail: int, gate: string}
      outputs: {number: {type: File, outputBinding: {glob: number.txt}}}
  join:
    in: {files: work/number}
    out: [joined]
    run:
      class: CommandLineTool
      baseCommand: cat
      stdout: joined.txt
      inputs: {files: {type: 'File[]', inputBinding: {}}}
      requirements: {InlineJavascriptRequirement: {}}
      outputs:
        joined: {type: string, outputBinding: {glob: joined.txt, loadContents: true, outputEval: '$(self[0].contents)'}}
"""


@dataclass(frozen=True)
class Desk:
    """A directory to work in, with documents, and the home of its journal."""

    directory: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The directory of the journal and the runs."""
        return self.directory / "home"

    def environment(self) -> dict[str, str]:
        """Return the environment without settings of whoever runs the tests, and with slots of its own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CELERIAC_")}
        own = {"CELERIAC_HOME": str(self.home), "CELERIAC_SLOTS_DIR": str(self.directory / "slots")}
        return {**kept, **own, **self.env}

    def __call__(self, *words: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `celeriac WORDS`; fails unless it ends with ``code``, or at a traceback."""
        done = subprocess.run(
            [str(CELERIAC), *words],
            cwd=self.directory,
            env={**self.environment(), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANG,
        )
        said = f"celeriac {' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr and "internal error" not in done.stderr, said
        assert code is None or done.returncode == code, said
        return done

    @contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Start `celeriac WORDS` and go on; at the end of the block it is killed if it still runs."""
        with subprocess.Popen(
            [str(CELERIAC), *words],
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # a job in the background has it off
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        ) as process:
            try:
                yield process
            finally:
                process.kill()  # else a test that failed would wait for it

    def json(self, *words: str) -> Any:
        """Run a command with --json and return what it printed."""
        return json.loads(self(*words, "--json").stdout)

    def newest(self) -> str:
        """Return the id of the newest run."""
        return str(self.json("list", "--limit", "1")[0]["id"])


def desk(directory: Path, **env: str) -> Desk:
    """Return a desk with the documents on it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "numbers.cwl").write_text(NUMBERS)
    return Desk(directory, env)
