"""The graph of a document: plain values that the scheduler decides on.

Names are short (``reads``, ``align``), sources are ``port`` for a workflow's own input and
``step/port`` for a step's output. CWL v1.2, Workflow and WorkflowStep sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: The value of a field that the document leaves out, where null is a value too.
MISSING: Any = object()


class Kind(StrEnum):
    """What a process is."""

    TOOL = "tool"
    EXPRESSION = "expression"
    OPERATION = "operation"  # can't be run: CWL says so
    WORKFLOW = "workflow"


@dataclass(frozen=True)
class Port:
    """Where values come in: an input of a step or an output of a workflow."""

    name: str
    sources: tuple[str, ...] | None = None  # None: the document gives none
    link_merge: str | None = None  # merge_nested, merge_flattened
    pick_value: str | None = None  # first_non_null, the_only_non_null, all_non_null
    default: Any = MISSING
    value_from: Any = None
    load_contents: bool = False
    connected: bool = True  # the step's process has an input of that name


@dataclass(frozen=True)
class Step:
    """A step of a workflow."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    process: Process
    scatter: tuple[str, ...] = ()
    method: str | None = None  # dotproduct, nested_crossproduct, flat_crossproduct
    when: Any = None
    requires: frozenset[str] = frozenset()  # the steps whose outputs it needs


@dataclass(frozen=True)
class Retry:
    """What a step says of temporary failures: a `celeriac:retry` hint."""

    attempts: int | None = None  # at most; None: the policy's
    delay: float | None = None  # seconds before the second one; None: the policy's
    exit_codes: frozenset[int] = frozenset()  # temporary, beside the tool's temporaryFailCodes


@dataclass(frozen=True)
class Process:
    """What a step runs: a tool, an expression, an operation or a workflow."""

    kind: Kind
    name: str
    javascript: tuple[Any, ...] = ()  # InlineJavascriptRequirement, for expressions of its steps
    resources: Mapping[str, Any] | None = None  # ResourceRequirement; None: CWL's defaults
    multiple_input: bool = False  # MultipleInputFeatureRequirement
    step_expressions: bool = False  # StepInputExpressionRequirement
    steps: Mapping[str, Step] | None = None  # of a workflow
    outputs: tuple[Port, ...] = ()  # of a workflow
    output_names: tuple[str, ...] = ()
    cwl_version: str = "v1.2"
    cuda: bool = False  # cwltool:CUDARequirement
    queue: str | None = None  # a `celeriac:queue` hint
    retry: Retry | None = None  # a `celeriac:retry` hint
    secrets: tuple[str, ...] = ()  # inputs that its own `cwltool:Secrets` hint names
    reuse_container: bool | None = None  # a `celeriac:reuse-container` hint; None: the run's option counts

    @property
    def is_nameless(self) -> bool:
        """Whether the document gives no name: cwltool then makes up another at every load."""
        return self.name.startswith("_:")

    def at(self, path: str) -> Process:
        """Return the process at a step path such as ``align/sort``; the empty path is this one."""
        process = self
        for name in path.split("/") if path else ():
            assert process.steps is not None, path
            process = process.steps[name].process
        return process

    def walk(self, prefix: str = "") -> list[tuple[str, Process]]:
        """Return every process below and this one, each with its step path."""
        found = [(prefix, self)]
        for name, step in (self.steps or {}).items():
            found += step.process.walk(f"{prefix}/{name}" if prefix else name)
        return found
