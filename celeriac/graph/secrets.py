"""Which inputs of a document are secret: those that it names, and those that lead to a step's secret inputs."""

from __future__ import annotations

from celeriac.graph.model import Process


def secret_inputs(process: Process) -> frozenset[str]:
    """Return the names of a process's secret inputs (``cwltool:Secrets``)."""
    return _secret(process, {})


def _secret(process: Process, known: dict[int, frozenset[str]]) -> frozenset[str]:
    found = known.get(id(process))
    if found is None:
        own = set(process.secrets)
        for step in (process.steps or {}).values():
            inner = _secret(step.process, known)
            for port in step.inputs:
                if port.name in inner:
                    own.update(source for source in port.sources or () if "/" not in source)
        found = known[id(process)] = frozenset(own)
    return found
