"""What a document uses, it must declare (CWL v1.2, Workflow: the features of its requirements)."""

from __future__ import annotations

from celeriac.errors import DocumentError
from celeriac.graph.model import Port, Process


def check(process: Process) -> None:
    """Raise :class:`~celeriac.errors.DocumentError` for a feature that is used without its requirement."""
    for path, workflow in process.walk():
        prefix = f"{path}/" if path else ""
        for name, step in (workflow.steps or {}).items():
            for port in step.inputs:
                _check(workflow, port, f"step '{prefix}{name}': the input '{port.name}'")
        for port in workflow.outputs:
            _check(workflow, port, f"the output '{prefix}{port.name}'")


def _check(workflow: Process, port: Port, title: str) -> None:
    if len(port.sources or ()) > 1 and not workflow.multiple_input:
        raise _undeclared(f"{title} has {len(port.sources or ())} sources", "MultipleInputFeatureRequirement")
    if port.value_from is not None and not workflow.step_expressions:
        raise _undeclared(f"{title} has a valueFrom", "StepInputExpressionRequirement")


def _undeclared(what: str, requirement: str) -> DocumentError:
    return DocumentError(
        f"{what}, but {requirement} is not declared",
        hint=f"declare it: requirements: {{{requirement}: {{}}}}",
    )
