"""What a work is, and the pieces that its documents are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CWL_VERSION = "v1.2"


@dataclass(frozen=True)
class Case:
    """One document and job on disk, and what a right run of them leaves in the output ``out``."""

    document: Path
    job: Path
    expected: tuple[str, ...]  # the text of each file, in order
    started: Path | None = None  # of a work that loads: what the first step leaves before it fails


@dataclass(frozen=True)
class Work:
    """Something to measure.

    ``write(folder, seed)`` writes its files. The seed goes into the values, not into the documents:
    no run can be answered from the results of an earlier one, while the documents stay the same.
    """

    name: str
    steps: int  # how many commands a run starts
    write: Callable[[Path, int], Case]
    timeout: float  # seconds after which a run is given up
    small: bool  # light enough for runners that need seconds for a step
    title: str = ""  # its name for people
    image: str = ""  # the container image that has to be on the host
    options: tuple[str, ...] = ()  # what Celeriac alone is told on its command line
    loads: bool = False  # what is measured is the loading: no output is expected

    @property
    def once(self) -> bool:
        """Whether one run of a peer is enough, since it takes minutes."""
        return self.steps >= 10_000


def save(path: Path, content: dict[str, Any]) -> Path:
    """Write a document or a job as JSON, which is YAML too."""
    path.write_text(json.dumps(content, indent=1))
    return path


def tool(**fields: Any) -> dict[str, Any]:
    """Return a CommandLineTool whose output ``out`` is its standard output."""
    return {
        "cwlVersion": CWL_VERSION,
        "class": "CommandLineTool",
        "outputs": {"out": {"type": "stdout"}},
        **fields,
    }


def echo(**fields: Any) -> dict[str, Any]:
    """Return a tool that echoes its input ``word``."""
    word = {"type": "string", "inputBinding": {"position": 1}}
    return tool(baseCommand="echo", inputs={"word": word}, **fields)


def workflow(features: list[str], **fields: Any) -> dict[str, Any]:
    """Return a Workflow that needs these features."""
    requirements = [{"class": feature} for feature in features]
    return {"cwlVersion": CWL_VERSION, "class": "Workflow", "requirements": requirements, **fields}


def scattered_echo(folder: Path, seed: int, count: int, **fields: Any) -> Case:
    """Write a workflow that echoes ``count`` words, each in a command of its own."""
    words = [f"{seed}-{i}" for i in range(count)]
    save(folder / "echo.cwl", echo(**fields))
    document = workflow(
        ["ScatterFeatureRequirement"],
        inputs={"words": "string[]"},
        outputs={"out": {"type": "File[]", "outputSource": "say/out"}},
        steps={"say": {"run": "echo.cwl", "scatter": "word", "in": {"word": "words"}, "out": ["out"]}},
    )
    return Case(
        document=save(folder / "scatter.cwl", document),
        job=save(folder / "job.json", {"words": words}),
        expected=tuple(f"{word}\n" for word in words),
    )
