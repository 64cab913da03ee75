"""What went wrong in an evaluation, as our error, in words for whoever wrote the expression."""

from __future__ import annotations

import re
from typing import Any

from celeriac.errors import ExpressionError, ExpressionMemoryError, ExpressionTimeout
from celeriac.expression.sandbox import Limits, Outcome

# A frame "at name (<input>:line:column)". What Function() makes is "anonymous", with lines of its own.
_PLACE = re.compile(r"at (?!anonymous \()[^\n]*<input>:(\d+):\d+")


def shorten(text: str, width: int = 120) -> str:
    """Return ``text`` on one line and not longer than ``width`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def late(expression: str, seconds: float, *, place: str = "", running: bool = False) -> ExpressionTimeout:
    """Return the error for used-up time; ``running`` tells that it could not be stopped and still runs."""
    end = "could not be stopped" if running else "was stopped"
    return ExpressionTimeout(
        f"the expression {shorten(expression)} {end}{place} after {seconds:g} seconds",
        hint="look for a loop that does not end, or allow more time with --eval-timeout",
        expression=shorten(expression),
        seconds=seconds,
        running=running,
    )


def failure(
    outcome: Outcome, expression: str, limits: Limits, *, begin: int = 0, library: int = 0
) -> ExpressionError:
    """Return the error for an outcome that is no value.

    In the script the expression begins after ``begin`` lines, of which the first ``library`` ones after
    the very first are the expressionLib.
    """
    place, fields = _place(outcome.stack, begin, library)
    name = f"the expression {shorten(expression)}"
    fields["expression"] = shorten(expression)
    megabytes = limits.memory / 2**20
    match outcome.kind:
        case "time":
            return late(expression, limits.seconds, place=place)
        case "memory":
            return ExpressionMemoryError(
                f"{name} needed more than {megabytes:g} MiB of memory{place}",
                hint="look for an array or a string that grows without end",
                **fields,
            )
        case "size":
            return ExpressionMemoryError(
                f"{name} returned {outcome.text} characters of JSON, more than {limits.result} are not taken",
                hint="return less, and pass large data as a file",
                **fields,
            )
        case "type":
            return ExpressionError(
                f"{name} returned {_a(outcome.text)}, and CWL takes JSON values only",
                hint="return null for no value; ${...} needs a 'return', $(...) a field that is there",
                **fields,
            )
        case "depth":
            return ExpressionError(
                f"{name} calls itself too often, or its result is nested too deeply{place}",
                hint="look for a recursion that does not end",
                **fields,
            )
    message = shorten(outcome.text, 500)
    return ExpressionError(f"{name} failed{place}: {message}", javascript=message, **fields)


def _place(stack: str, begin: int, library: int) -> tuple[str, dict[str, Any]]:
    found = _PLACE.search(stack)
    line = int(found.group(1)) if found else 0
    if line > begin:
        return f" in line {line - begin}", {"line": line - begin}
    if 1 < line <= library + 1:
        return f" in line {line - 1} of expressionLib", {"line": line - 1, "library": True}
    return "", {}


def _a(kind: str) -> str:
    return kind if kind == "undefined" else f"a {kind}" if kind != "object" else "an object without JSON"
