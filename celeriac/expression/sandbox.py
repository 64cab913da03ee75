"""One evaluation of JavaScript in a context of its own, within limits, in the thread that asks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Literal

import quickjs

from celeriac.expression.driver import CONSOLE, DRIVER, REPORT

Kind = Literal["value", "error", "memory", "depth", "type", "size", "time"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation may use."""

    #: Seconds of CPU time. The engine counts the whole process's, so other busy threads count too.
    seconds: float
    #: Bytes of the JavaScript heap.
    memory: int
    #: Bytes of the C stack; a plain call takes about 1.7 kB.
    stack: int
    #: Characters of the result's JSON.
    result: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an evaluation ended: ``text`` is JSON for a value, else what went wrong."""

    kind: Kind
    text: str
    stack: str = ""
    printed: str = ""


def run(source: str, limits: Limits, console: bool = False) -> Outcome:
    """Evaluate the script ``source`` and tell how it ended; whatever it does, it raises nothing.

    The context is made, used and freed in here, so no other thread ever touches it. The interpreter
    lock is free while JavaScript runs.
    """
    if 2 * len(source) > limits.memory:
        return Outcome("memory", "out of memory")
    context = quickjs.Context()
    context.set_memory_limit(limits.memory)
    context.set_max_stack_size(limits.stack)
    context.set_time_limit(limits.seconds)
    if not console:
        return _drive(context, source, limits)
    printed = context.eval(CONSOLE)
    outcome = _drive(context, source, limits)
    return replace(outcome, printed=_printed(printed))


def _drive(context: quickjs.Context, source: str, limits: Limits) -> Outcome:
    try:
        answer = context.eval(DRIVER)(limits.result, REPORT)(_speakable(source))
    except quickjs.JSException as exc:
        return _escaped(str(exc))
    if not answer.startswith("!"):
        return Outcome("value", answer)
    kind, text, stack = json.loads(answer[1:])
    return Outcome(kind, text, stack)


def _speakable(source: str) -> str:
    """Write lone surrogates, as in names of files that are no UTF-8, as JavaScript's own escapes."""
    try:
        source.encode()
    except UnicodeEncodeError:
        return source.encode(errors="backslashreplace").decode()
    return source


def _escaped(text: str) -> Outcome:
    """Name what can't be caught in JavaScript: used-up time, or no memory left for the catching."""
    if text.startswith("InternalError: interrupted"):
        return Outcome("time", "interrupted", text)
    return Outcome("memory", "out of memory")


def _printed(printed: quickjs.Object) -> str:
    try:
        return str(json.loads(printed()))
    except quickjs.JSException:
        return ""
