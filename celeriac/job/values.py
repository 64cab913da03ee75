"""The values that a step starts with: loadContents, valueFrom and `when`, in CWL's order."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from cwltool.builder import content_limit_respected_read
from cwltool.context import RuntimeContext
from cwltool.errors import UnsupportedRequirement
from cwltool.stdfsaccess import StdFsAccess
from cwltool.utils import adjustDirObjs, get_listing

from celeriac.document.binding import bind
from celeriac.document.reasons import denied, reason
from celeriac.errors import CeleriacError, DocumentError, InputError, UnsupportedError
from celeriac.expression.evaluate import evaluate, explain
from celeriac.graph.model import Process, Step
from celeriac.job.fence import Fence, file_access


def step_inputs(
    step: Step, workflow: Process, arrived: Mapping[str, Any], eval_timeout: float, fence: Fence | None = None
) -> dict[str, Any] | None:
    """Return the inputs of a step's process, or None when `when` says to skip it.

    CWL v1.2, WorkflowStep: valueFrom sees the values before any valueFrom; `when` sees them after.
    Raises :class:`~celeriac.errors.ExpressionError`, :class:`~celeriac.errors.DocumentError`.
    """
    files = file_access(fence)("")
    values = dict(arrived)
    for port in step.inputs:
        if port.load_contents and values.get(port.name) is not None:
            values[port.name] = _with_contents(values[port.name], files)
    evaluated = dict(values)
    requirements = list(workflow.javascript)
    for port in step.inputs:
        if port.value_from is None:
            continue
        if not workflow.step_expressions:
            raise DocumentError(
                f"step '{step.name}' has a valueFrom, but StepInputExpressionRequirement is not declared"
            )
        own = values.get(port.name)
        adjustDirObjs(own, functools.partial(get_listing, files, recursive=True))
        evaluated[port.name] = evaluate(
            port.value_from, inputs=values, requirements=requirements, context=own, timeout=eval_timeout
        )
    if step.when is not None:
        verdict = evaluate(step.when, inputs=evaluated, requirements=requirements, timeout=eval_timeout)
        if verdict is False:
            return None
        if verdict is not True:
            raise DocumentError(
                f"`when` of step '{step.name}' gave {verdict!r}: true or false was expected",
            )
    connected = {port.name for port in step.inputs if port.connected}
    return {name: value for name, value in evaluated.items() if name in connected}


def _with_contents(value: Any, files: StdFsAccess) -> Any:
    if isinstance(value, list):
        return [_with_contents(item, files) for item in value]
    if not isinstance(value, Mapping) or value.get("contents") is not None:
        return value
    with files.open(value["location"], "rb") as file:
        return {**value, "contents": content_limit_respected_read(file)}


def process_inputs(
    process: Any, inputs: dict[str, Any], eval_timeout: float, name: str, fence: Fence | None = None
) -> dict[str, Any]:
    """Return the inputs of a workflow as its steps see them: defaults in, validated, contents loaded."""
    context = RuntimeContext({"basedir": "/", "eval_timeout": eval_timeout})
    if fence is not None:
        made: Any = file_access(fence)
        context.make_fs_access = made
    try:
        builder = bind(process, inputs, context)
    except Exception as error:
        raise named(error, f"step '{name}' can't start") from error
    return dict(builder.job)


def named(error: Exception, what: str) -> CeleriacError:
    """Turn what cwltool raises while it builds a job into an error of ours."""
    if isinstance(error, CeleriacError):
        return error
    refusal = denied(error)
    if refusal is not None:
        return refusal
    explained = explain(error)
    if explained is not None:
        explained.where = explained.where or what
        return explained
    if isinstance(error, UnsupportedRequirement):
        return UnsupportedError(f"{what}: {error}")
    why = reason(error)
    return InputError(f"{what}: {why.sentence}", where=why.where)
