"""The engine parameters that a caller may set: a part of a run's options that reaches nothing on the hosts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from celeriac.errors import CeleriacError, InputError
from celeriac.job.options import RunOptions

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _boolean(text: str) -> bool:
    if text.strip().lower() not in _BOOLEANS:
        raise ValueError("true or false was expected")
    return _BOOLEANS[text.strip().lower()]


def _on_error(text: str) -> str:
    if text not in ("stop", "continue"):
        raise ValueError("stop or continue was expected")
    return text


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("a number above 0 was expected")
    return number


#: Each parameter with the type that service-info tells, and how its text is read.
PARAMETERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "on_error": ("string", _on_error),
    "strict_memory_limit": ("boolean", _boolean),
    "strict_cpu_limit": ("boolean", _boolean),
    "compute_checksum": ("boolean", _boolean),
    "reuse": ("boolean", _boolean),
    "reuse_container": ("boolean", _boolean),
    "remove_intermediate": ("boolean", _boolean),
    "eval_timeout": ("number", _seconds),
}


def options(parameters: Mapping[str, str], usual: RunOptions) -> RunOptions:
    """Return a run's options; raises :class:`~celeriac.errors.InputError` for a parameter that may not be set."""
    values: dict[str, Any] = {}
    for name, text in parameters.items():
        if name not in PARAMETERS:
            known = "known: " + ", ".join(PARAMETERS)
            raise InputError(f"there is no workflow_engine_parameter {name!r}", hint=known)
        try:
            values[name] = PARAMETERS[name][1](text)
        except CeleriacError:
            raise
        except ValueError as error:
            raise InputError(f"the workflow_engine_parameter {name} is {text[:100]!r}: {error}") from error
    if values.get("eval_timeout", 0) > usual.eval_timeout:
        most = usual.eval_timeout
        raise InputError(f"the workflow_engine_parameter eval_timeout is {values['eval_timeout']:g}: {most:g} at most")
    return replace(usual, **values)


def described(usual: RunOptions) -> list[dict[str, str]]:
    """Return the parameters with their defaults (WES: DefaultWorkflowEngineParameter)."""
    return [
        {"name": name, "type": kind, "default_value": _shown(getattr(usual, name))}
        for name, (kind, _) in PARAMETERS.items()
    ]


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
