"""The reference workflow: a chain, a scatter, a subworkflow for each item, a join; what it gives is known beforehand.

Each step waits a moment and writes the SHA-256 of its name and its inputs, so that the last outputs tell
whether every step did what it does without a fault, once and with the right inputs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

#: Words of the tool: its name, its seconds, then the files. It fails when it can't write: busybox's cut does not.
_SCRIPT = (
    'name=$1; seconds=$2; shift 2; echo "begin $name" >&2; sleep "$seconds"; '
    '{ echo "$name"; cat "$@"; } | sha256sum | cut -c1-64 > "$name.txt" && test -s "$name.txt" && '
    'echo "end $name" >&2'
)
_SEED = "what all begins with\n"


@dataclass(frozen=True)
class Reference:
    """The workflow of ``size`` steps, at least 8; each takes about ``seconds``, in a container or as a process."""

    size: int = 8
    seconds: float = 0.4
    containers: bool = True

    @property
    def document(self) -> dict[str, Any]:
        """The CWL document: it is JSON, and so YAML too."""
        steps: dict[str, Any] = {}
        last = "seed"
        for name in self._chain:
            steps[name] = _step(name, last)
            last = f"{name}/out"
        steps["align"] = {**_step(None, last), "scatter": "name"}
        steps["align"]["in"]["name"] = "names"
        steps["refine"] = {
            "run": _refine(self._tool),
            "scatter": ["files", "name"],
            "scatterMethod": "dotproduct",
            "in": {"files": "align/out", "name": "names", "seconds": "seconds"},
            "out": ["out"],
        }
        steps["join"] = _step("join", "refine/out")
        for step in steps.values():
            step.setdefault("run", self._tool)
        return {
            "cwlVersion": "v1.2",
            "class": "Workflow",
            "requirements": {
                "ScatterFeatureRequirement": {},
                "SubworkflowFeatureRequirement": {},
                "StepInputExpressionRequirement": {},
            },
            "inputs": {"seed": "File", "names": "string[]", "seconds": "string"},
            "outputs": {
                "parts": {"type": "File[]", "outputSource": "refine/out"},
                "joined": {"type": "File", "outputSource": "join/out"},
            },
            "steps": steps,
        }

    @property
    def job(self) -> dict[str, Any]:
        """The inputs."""
        seed = {"class": "File", "basename": "seed.txt", "contents": _SEED}
        return {"seed": seed, "names": self._names, "seconds": str(self.seconds)}

    @property
    def expected(self) -> dict[str, str]:
        """The outputs' names and contents, as plain Python finds them."""
        value = _SEED
        for name in self._chain:
            value = _digest(name, value)
        parts = {}
        for name in self._names:
            parts[f"{name}-sort"] = _digest(f"{name}-sort", _digest(f"{name}-mark", _digest(name, value)))
        joined = _digest("join", *parts.values())
        return {f"{name}.txt": text for name, text in {**parts, "join": joined}.items()}

    @property
    def checksums(self) -> dict[str, str]:
        """The outputs' names and checksums, as a CWL output object has them."""
        return {name: f"sha1${hashlib.sha1(text.encode()).hexdigest()}" for name, text in self.expected.items()}

    # --- its parts --------------------------------------------------------------------------------

    @property
    def _names(self) -> list[str]:
        return [f"item-{number}" for number in range((self.size - 2) // 3)]

    @property
    def _chain(self) -> list[str]:
        return [f"first-{number}" for number in range(self.size - 1 - 3 * len(self._names))]

    @property
    def _tool(self) -> dict[str, Any]:
        needs: dict[str, Any] = {"ResourceRequirement": {"coresMin": 0.25, "ramMin": 64}}
        if self.containers:
            needs["DockerRequirement"] = {"dockerPull": "alpine"}
        files = ["File", {"type": "array", "items": "File"}]
        return {
            "class": "CommandLineTool",
            "requirements": needs,
            "baseCommand": ["sh", "-c", _SCRIPT, "sh"],
            "inputs": {
                "name": {"type": "string", "inputBinding": {"position": 1}},
                "seconds": {"type": "string", "inputBinding": {"position": 2}},
                "files": {"type": files, "inputBinding": {"position": 3}},
            },
            "outputs": {"out": {"type": "File", "outputBinding": {"glob": "$(inputs.name).txt"}}},
        }


def _step(name: str | None, files: str) -> dict[str, Any]:
    return {"in": {"name": {"default": name}, "files": files, "seconds": "seconds"}, "out": ["out"]}


def _refine(tool: dict[str, Any]) -> dict[str, Any]:
    """Return the subworkflow: two steps in a row, named after the item."""

    def step(suffix: str, files: str) -> dict[str, Any]:
        made = {**_step(None, files), "run": tool}
        made["in"]["name"] = {"source": "name", "valueFrom": f"$(self)-{suffix}"}
        return made

    return {
        "class": "Workflow",
        "inputs": {"files": "File", "name": "string", "seconds": "string"},
        "outputs": {"out": {"type": "File", "outputSource": "sort/out"}},
        "steps": {"mark": step("mark", "files"), "sort": step("sort", "mark/out")},
    }


def _digest(name: str, *contents: str) -> str:
    return hashlib.sha256("".join([f"{name}\n", *contents]).encode()).hexdigest() + "\n"
