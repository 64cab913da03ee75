"""Single tools, each a line of shell."""

from __future__ import annotations

from typing import Any

from tests.faults.journal import until
from tests.faults.site import Site, begun


def tool(script: str, *, containers: bool, outputs: Any = None, ram: int = 64) -> dict[str, Any]:
    """Return a tool that is a line of shell."""
    needs: dict[str, Any] = {"ResourceRequirement": {"coresMin": 0.25, "ramMin": ram}}
    if containers:
        needs["DockerRequirement"] = {"dockerPull": "alpine"}
    return {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "requirements": needs,
        "baseCommand": ["sh", "-c", 'echo begun >&2; ' + script],
        "inputs": {},
        "outputs": outputs or {},
    }


def submit(site: Site, document: dict[str, Any], *words: str) -> str:
    """Submit a tool; returns the run when it has begun."""
    containers = "DockerRequirement" in document["requirements"]
    run = site.submit_tool(document, {}, *(() if containers else ("--no-container",)), *words)
    site.running(run)
    until(lambda: begun(site, run), "the tool does not begin")
    return run
