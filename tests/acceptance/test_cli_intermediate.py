"""celeriac run --rm-intermediate: the disk never holds more than what is read still."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.commands import desk

CHAIN = """\
cwlVersion: v1.2
class: Workflow
inputs: {}
outputs: {o: {type: File, outputSource: c/out}}
steps:
  a: {in: {}, out: [out], run: make.cwl}
  b: {in: {file: a/out}, out: [out], run: copy.cwl}
  c: {in: {file: b/out}, out: [out], run: copy.cwl}
  fails: {in: {file: c/out}, out: [], run: fail.cwl}
"""
MAKE = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, made]
inputs: {}
outputs: {out: stdout}
stdout: made.txt
"""
COPY = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs: {file: {type: File, inputBinding: {}}}
outputs: {out: stdout}
stdout: copy.txt
"""
FAIL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: "false"
inputs: {file: File}
outputs: {}
"""


def test_what_nobody_reads_any_more_is_gone(tmp_path: Path) -> None:
    here = desk(tmp_path)
    for name, text in {"wf": CHAIN, "make": MAKE, "copy": COPY, "fail": FAIL}.items():
        (here.directory / f"{name}.cwl").write_text(text)
    # the last step fails, so that the run's directory is there to be looked at
    here("run", "--no-container", "--quiet", "--on-error", "continue", "--rm-intermediate", "wf.cwl", code=1)
    run = here.newest()
    files = [path for path in (here.home / "runs" / run).rglob("*.txt") if not path.is_symlink()]
    assert [path.relative_to(here.home / "runs" / run).parts[0][:2] for path in files] == ["c-"]
    logs = {path.name for path in (here.home / "runs" / run).rglob("*.log")}
    assert logs == {"stderr.log", "stdout.log"}
    assert (here.directory / "copy.txt").read_text() == "made\n"
