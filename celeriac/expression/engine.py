"""The engine that ``cwl_utils`` evaluates CWL expressions with: JavaScript inside this process."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from cwl_utils.sandboxjs import JSEngine, code_fragment_to_js
from schema_salad.utils import json_dumps

from celeriac.expression.failure import failure, late
from celeriac.expression.helpers import HelperThreads
from celeriac.expression.reference import resolve
from celeriac.expression.sandbox import Limits, Outcome, run

logger = logging.getLogger(__name__)

MIB = 2**20
#: Seconds after its time that an evaluation which can't be stopped is left.
GRACE = 1.0
_LONGEST = 10.0**8

# CWL wants the parameter context in global variables; evaluated code keeps its variables to itself.
_GLOBALS = " ".join(
    f'if (typeof {name} !== "undefined") globalThis.{name} = {name};'
    for name in ("inputs", "self", "runtime")
)


class QuickJSEngine(JSEngine):
    """JavaScript by quickjs-ng: a fresh context for every evaluation, with limits, without a host.

    ``memory_limit`` is in bytes of JavaScript heap, ``result_limit`` in characters of the result's
    JSON. An engine may be used by any number of threads at once.
    """

    def __init__(self, *, memory_limit: int = 128 * MIB, result_limit: int = 32 * MIB) -> None:
        self.memory_limit = memory_limit
        self.result_limit = result_limit
        self._helpers: HelperThreads[Outcome] = HelperThreads()

    @property
    def runaways(self) -> int:
        """How many evaluations could not be stopped and still run; above 0, end the process soon."""
        return self._helpers.left()

    def eval(  # type: ignore[override]
        self,
        scan: str,
        jslib: str = "",
        timeout: float = 60.0,
        *,
        js_console: bool = False,
        variables: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Return the value of ``scan``, ``(expression)`` or ``{function body}``, after ``jslib``.

        ``timeout`` is in seconds, ``variables`` are further global variables. Raises
        :class:`ExpressionError`, :class:`ExpressionTimeout` or :class:`ExpressionMemoryError`.
        """
        given = (f"var {name} = {json_dumps(value)};" for name, value in (variables or {}).items())
        before = "\n".join([jslib, *given, _GLOBALS])
        script = code_fragment_to_js(scan, before)
        limits = self._limits(timeout)
        try:
            outcome = self._helpers.call(partial(run, script, limits, js_console), limits.seconds + GRACE)
        except TimeoutError:
            raise late(f"${scan}", limits.seconds, running=True) from None
        if outcome.printed:
            logger.debug("console of the expression $%s:\n%s", scan, outcome.printed)
        if outcome.kind != "value":
            library = jslib.count("\n") + 1 if jslib else 0
            raise failure(outcome, f"${scan}", limits, begin=before.count("\n") + 2, library=library)
        return _value(outcome.text, f"${scan}", limits)

    def regex_eval(self, parsed_string: str, remaining_string: str, current_value: Any, **_: Any) -> Any:
        """Return what a parameter reference stands for; see :func:`reference.resolve`."""
        return resolve(parsed_string, remaining_string, current_value)

    def _limits(self, timeout: float) -> Limits:
        return Limits(
            seconds=min(max(timeout, 0.001), _LONGEST),
            memory=self.memory_limit,
            stack=6 * MIB,
            result=self.result_limit,
        )


def _value(text: str, expression: str, limits: Limits) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise failure(Outcome("depth", ""), expression, limits) from None
