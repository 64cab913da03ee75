"""A host with a canary: runs from outside may reach one directory, and the canary's content must appear nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from celeriac.access import Access
from celeriac.errors import CeleriacError, from_dict
from celeriac.journal.tables import attempts, metadata
from tests.unit.engine_harness import Play, World, world

CANARY = "canary-5b1d7e90"


@dataclass
class Site:
    """The host, and what became of the run that was tried on it."""

    root: Path
    access: Access
    world: World
    log: pytest.LogCaptureFixture

    @property
    def data(self) -> Path:
        """The directory that is allowed."""
        return self.root / "data"

    @property
    def canary(self) -> Path:
        """The file that nobody outside may read."""
        return self.root / "private" / "canary.txt"

    def write(self, document: Mapping[str, Any] | str, name: str = "doc.cwl") -> Path:
        """Put a document where it may be read."""
        path = self.data / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    def attempt(
        self, document: Mapping[str, Any] | str, job: Mapping[str, Any] | None = None, **options: Any
    ) -> tuple[str, CeleriacError | None]:
        """Submit and run; returns where it was refused (submit, run; "" for nowhere) and why."""
        path = document if isinstance(document, str) and "://" in document else self.write(document)
        access = options.pop("access", self.access)
        try:
            submission = self.world.check(path, job, access=access.to_json(), **options)  # type: ignore[arg-type]
        except CeleriacError as error:
            return "submit", error
        run = self.world.submit(submission)
        self.world.drain()
        row = self.world.run(run)
        assert row.ended is not None, self.world.table(run)
        return ("run", from_dict(row.error)) if row.error else ("", None)

    def told(self) -> str:
        """Return all that was kept or said: the journal, what runs left on disk, logs."""
        parts = [self.log.text]
        with self.world.engine.database.read() as connection:
            for table in metadata.sorted_tables:
                parts += [repr(tuple(row)) for row in connection.execute(select(table))]
        for path in (self.root / "home").rglob("*"):
            if path.is_file() and not path.is_symlink():
                parts.append(path.read_text("utf-8", "replace"))
        return "\n".join(parts)

    def outputs(self) -> list[Any]:
        """Return what the attempts gave."""
        with self.world.engine.database.read() as connection:
            return [row.outputs for row in connection.execute(select(attempts.c.outputs))]


@contextmanager
def site(root: Path, log: pytest.LogCaptureFixture, play: Play = lambda words: "said", **access: Any) -> Iterator[Site]:
    """Yield a site; ``access`` is what runs from outside may do beside reading the allowed directory."""
    log.set_level(logging.DEBUG)
    (root / "data").mkdir()
    (root / "private").mkdir()
    (root / "private" / "canary.txt").write_text(CANARY + "\n")
    data = (str(root / "data"),)
    allowed = replace(Access(data, images=("debian:12",), processes=True, outputs=data), **access)
    with world(root / "home", play) as made:
        yield Site(root, allowed, made, log)


def tool(**fields: Any) -> dict[str, Any]:
    """Return a tool that runs as a process."""
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "requirements": {"InlineJavascriptRequirement": {}, **fields.pop("requirements", {})},
        "baseCommand": "true",
        "inputs": {},
        "outputs": {},
        **fields,
    }


def expression(text: str, kind: str = "Any", **fields: Any) -> dict[str, Any]:
    """Return an ExpressionTool with one output."""
    return {
        "cwlVersion": "v1.2",
        "class": "ExpressionTool",
        "requirements": {"InlineJavascriptRequirement": {}},
        "inputs": {},
        "outputs": {"out": kind},
        "expression": text,
        **fields,
    }


def reader() -> dict[str, Any]:
    """Return a tool that takes one file, and loads its content."""
    return tool(inputs={"file": {"type": "File", "loadContents": True}}, arguments=["$(inputs.file.contents)"])


def workflow(steps: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a workflow with all that steps may need."""
    needs = (
        "InlineJavascriptRequirement", "StepInputExpressionRequirement", "ScatterFeatureRequirement",
        "SubworkflowFeatureRequirement", "MultipleInputFeatureRequirement",
    )  # fmt: skip
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": {name: {} for name in needs},
        "inputs": {},
        "outputs": {},
        "steps": dict(steps),
        **fields,
    }
