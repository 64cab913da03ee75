"""Evaluate a CWL expression, and make our engine the one that everybody in this process evaluates with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cwl_utils.errors import JavascriptException, SubstitutionError, WorkflowException
from cwl_utils.expression import OLD_ESCAPE_CWL_VERSIONS, interpolate, needs_parsing
from cwl_utils.sandboxjs import JSEngine, get_js_engine, set_js_engine

from celeriac.errors import CeleriacError, ExpressionError
from celeriac.expression.engine import QuickJSEngine
from celeriac.expression.failure import shorten

_WRAPPED = "Expression evaluation error:"


def evaluate(
    expression: Any,
    *,
    inputs: Mapping[str, Any],
    requirements: Sequence[Mapping[str, Any]],
    context: Any = None,
    runtime: Mapping[str, Any] | None = None,
    outdir: str | None = None,
    tmpdir: str | None = None,
    cwl_version: str = "",
    timeout: float = 60.0,
    engine: JSEngine | None = None,
) -> Any:
    """Return the value of a CWL expression; what holds none is returned as it is.

    ``requirements`` are the process's, the nearest last; JavaScript needs InlineJavascriptRequirement
    among them. ``context`` is ``self``, ``timeout`` in seconds. The rules are those of CWL v1.2,
    "Parameter references" and "Expressions", and of ``cwl_utils.expression.do_eval``.

    Raises :class:`ExpressionError`, :class:`ExpressionTimeout` or :class:`ExpressionMemoryError`.
    """
    if not needs_parsing(expression):
        return expression
    library = _library(requirements)
    directories = {"tmpdir": tmpdir or None, "outdir": outdir or None}
    scope: Any = {"inputs": inputs, "self": context, "runtime": {**(runtime or {}), **directories}}
    try:
        return interpolate(
            expression,
            scope,
            jslib="\n".join(library or ()),
            fullJS=library is not None,
            escaping_behavior=1 if cwl_version in OLD_ESCAPE_CWL_VERSIONS else 2,
            js_engine=engine or _installed(),
            timeout=timeout,
            variables=scope,
        )
    except (JavascriptException, SubstitutionError, WorkflowException) as exc:
        raise _foreign(exc, expression) from exc


def install(engine: QuickJSEngine | None = None) -> None:
    """Make ``engine`` the one of ``cwl_utils``, and so of cwltool; again without one changes nothing.

    ``cwl_utils`` also prints a traceback for every expression that fails. The exception says it all,
    so that is turned off.
    """
    if engine is not None or not isinstance(get_js_engine(), QuickJSEngine):
        set_js_engine(engine or QuickJSEngine())
    theirs = logging.getLogger("cwl_utils")
    if not any(isinstance(one, _NoTraceback) for one in theirs.filters):
        theirs.addFilter(_NoTraceback())


def explain(exc: BaseException) -> CeleriacError | None:
    """Return our error for an expression that failed somewhere inside ``exc``, or None.

    cwltool wraps what an expression raises, often more than once.
    """
    chain = list(_chain(exc))
    for one in chain:
        if isinstance(one, ExpressionError):
            return one
    for one in chain:
        if isinstance(one, (JavascriptException, SubstitutionError)):
            return _foreign(one)
    for one in chain:
        if isinstance(one, WorkflowException) and str(one).startswith(_WRAPPED):
            return _foreign(one)
    return None


class _NoTraceback(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.funcName == "do_eval" and record.exc_info)


def _library(requirements: Sequence[Mapping[str, Any]]) -> Sequence[str] | None:
    """Return the expressionLib that counts, or None where JavaScript is not allowed."""
    for requirement in reversed(requirements):
        if requirement["class"] == "InlineJavascriptRequirement":
            return requirement.get("expressionLib") or []
    return None


def _installed() -> JSEngine:
    engine = get_js_engine()
    return engine if isinstance(engine, QuickJSEngine) else QuickJSEngine()


def _foreign(exc: BaseException, expression: str = "") -> ExpressionError:
    """Say what ``cwl_utils`` found wrong before any JavaScript ran."""
    name = f"the expression {shorten(expression)}" if expression else "an expression"
    fields = {"expression": shorten(expression)} if expression else {}
    if isinstance(exc, SubstitutionError):
        hint = "close it with ) or }, or write \\$( or \\${ for the plain text"
        return ExpressionError(f"{name} has no end", hint=hint, **fields)
    message, _, advice = str(exc).removeprefix(_WRAPPED).partition(". This could be due")
    hint = "if it is JavaScript, add InlineJavascriptRequirement to the requirements" if advice else ""
    return ExpressionError(f"{name} failed: {shorten(message, 500)}", hint=hint, **fields)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [found for found in (one.__cause__, one.__context__) if found is not None]
