"""What the tables of bad inputs are written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Files that every case finds in its working directory.
COMMON = {
    "echo.cwl": """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs:
  message: {type: string, inputBinding: {}}
outputs:
  out: stdout
stdout: out.txt
""",
    "hello.yml": "message: hello\n",
}


@dataclass(frozen=True)
class Case:
    """A command that must fail, and what it must say."""

    name: str
    words: str  # after `celeriac run --outdir OUTDIR`
    says: tuple[str, ...]  # each is in the message
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    code: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    command: str = "run --quiet --outdir results"
    stdin: str = ""
    limit: float = 60  # a command that takes more seconds hangs


def case(name: str, words: str, *says: str, **rest: object) -> Case:
    """Return a case; keywords that are no field of its are files: ``doc`` is doc.cwl, ``job`` is job.yml."""
    files = dict(rest.pop("files", {}))  # type: ignore[call-overload]
    for key, file in (("doc", "doc.cwl"), ("job", "job.yml")):
        if key in rest:
            files[file] = rest.pop(key)
    return Case(name, words, says, files, **rest)  # type: ignore[arg-type]


def tool(inputs: str = "{}", outputs: str = "[]", more: str = "", command: str = "'true'") -> str:
    """Return a tool: line 1 has the version, 3 the command, 4 the inputs, 5 the outputs, 6 more."""
    return (
        f"cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: {command}\n"
        f"inputs: {inputs}\noutputs: {outputs}\n{more}\n"
    )


def flow(steps: str, inputs: str = "{}", outputs: str = "[]", requires: str = "") -> str:
    """Return a workflow: line 3 has the requirements, 4 the inputs, 5 the outputs, 7 the first step."""
    requirements = ", ".join(f"{name}: {{}}" for name in requires.split())
    lines = "".join(f"  {step.strip()}\n" for step in steps.strip().splitlines())
    return (
        f"cwlVersion: v1.2\nclass: Workflow\nrequirements: {{{requirements}}}\n"
        f"inputs: {inputs}\noutputs: {outputs}\nsteps:\n{lines}"
    )
