"""Small CWL documents for the tests of the engine, written where a test wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tool(*inputs: str, kind: str = "int", **fields: Any) -> dict[str, Any]:
    """Return a tool that gets numbers on its command line and gives a number."""
    bound = {"type": kind, "inputBinding": {}}
    return {
        "class": "CommandLineTool",
        "baseCommand": ["true"],
        "inputs": dict.fromkeys(inputs, bound),
        "outputs": {"out": "int"},
        **fields,
    }


def step(run: Mapping[str, Any], inputs: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a workflow's step with one output ``out``."""
    return {"run": run, "in": inputs, "out": ["out"], **fields}


def workflow(inputs: Any, steps: Mapping[str, Any], outputs: Mapping[str, Any], *features: str) -> dict[str, Any]:
    """Return a workflow; ``features`` are the requirements that it needs, by class."""
    return {
        "class": "Workflow",
        "requirements": [{"class": name} for name in features],
        "inputs": inputs,
        "steps": steps,
        "outputs": outputs,
    }


def output(source: Any, kind: Any = "Any?", **fields: Any) -> dict[str, Any]:
    """Return a workflow's output."""
    return {"type": kind, "outputSource": source, **fields}


def write(directory: Path, document: Mapping[str, Any], name: str = "wf.cwl") -> Path:
    """Write a document; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(json.dumps({"cwlVersion": "v1.2", **document}))
    return path


SCATTER = "ScatterFeatureRequirement"
SUBWORKFLOW = "SubworkflowFeatureRequirement"
MULTIPLE = "MultipleInputFeatureRequirement"
EXPRESSION = "StepInputExpressionRequirement"
JAVASCRIPT = "InlineJavascriptRequirement"


def everything() -> dict[str, Any]:
    """Return a workflow with all forms at once: chain, scatter, nested scatter, subworkflows, when, merge.

    With ``n: [1, 2, 3]`` its outputs are in :data:`EVERYTHING`.
    """
    inner = workflow(
        {"x": "int"},
        {
            "double": step(tool("a", "b"), {"a": "x", "b": "x"}),
            "more": step(tool("a", "b"), {"a": "double/out", "b": "x"}),
        },
        {"out": output("more/out", "int")},
    )
    wide = workflow(
        {"xs": "int[]", "y": "int"},
        {"each": step(tool("a", "b"), {"a": "xs", "b": "y"}, scatter="a")},
        {"out": output("each/out", "int[]")},
        SCATTER,
    )
    return workflow(
        {"n": "int[]"},
        {
            "plus": step(tool("a", "b"), {"a": "n", "b": {"default": 10}}, scatter="a"),
            "triple": step(inner, {"x": "plus/out"}, scatter="x"),
            "grid": step(
                tool("a", "b"), {"a": "n", "b": "n"}, scatter=["a", "b"], scatterMethod="nested_crossproduct"
            ),
            "rows": step(wide, {"xs": "grid/out", "y": {"default": 100}}, scatter="xs"),
            "never": step(tool("a"), {"a": {"default": 1}, "go": {"default": False}}, when="$(inputs.go)"),
            "one": step(tool("a"), {"a": {"source": "n", "valueFrom": "$(self[0])"}}),
            "two": step(tool("a", "b"), {"a": "one/out", "b": {"default": 1}}),
        },
        {
            "tripled": output("triple/out"),
            "table": output("rows/out"),
            "second": output("two/out"),
            "picked": output(["never/out", "two/out"], "int", pickValue="first_non_null"),
            "nothing": output("never/out"),
        },
        SCATTER, SUBWORKFLOW, MULTIPLE, EXPRESSION, JAVASCRIPT,
    )  # fmt: skip


EVERYTHING = {
    "tripled": [33, 36, 39],
    "table": [[102, 103, 104], [103, 104, 105], [104, 105, 106]],
    "second": 2,
    "picked": 2,
    "nothing": None,
}
