"""A document's graph as JSON, and back. Only what differs from a field's default is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celeriac.graph.model import MISSING, Kind, Port, Process, Retry, Step

#: The fields of our own values, by name: a graph that another version wrote has others.
SHAPE = {kind.__name__: [f.name for f in dataclasses.fields(kind)] for kind in (Process, Step, Port, Retry)}


def process_to_json(process: Process, index: Callable[[str], int]) -> dict[str, Any]:
    """Return a process; ``index(step)`` gives the number under which what a step runs is kept."""
    own: dict[str, Callable[[Any], Any]] = {
        "steps": lambda steps: {name: _step_to_json(step, index(name)) for name, step in steps.items()},
        "outputs": lambda ports: [_to_json(port) for port in ports],
        "retry": lambda retry: _to_json(retry, exit_codes=sorted),
    }
    return _to_json(process, **own)


def process_from_json(data: Mapping[str, Any], at: Callable[[int], Process]) -> Process:
    """Return the process of :func:`process_to_json`; ``at(index)`` gives what a step runs."""
    own: dict[str, Callable[[Any], Any]] = {
        "kind": Kind,
        "javascript": tuple,
        "steps": lambda steps: {name: _step_from_json(step, at) for name, step in steps.items()},
        "outputs": _ports,
        "output_names": tuple,
        "secrets": tuple,
        "retry": lambda retry: Retry(**_read(retry, {"exit_codes": frozenset})),
    }
    return Process(**_read(data, own))


def _step_to_json(step: Step, index: int) -> dict[str, Any]:
    own: dict[str, Callable[[Any], Any]] = {
        "inputs": lambda ports: [_to_json(port) for port in ports],
        "process": lambda process: index,
        "requires": sorted,
    }
    return _to_json(step, **own)


def _step_from_json(data: Mapping[str, Any], at: Callable[[int], Process]) -> Step:
    own: dict[str, Callable[[Any], Any]] = {
        "inputs": _ports,
        "outputs": tuple,
        "process": at,
        "scatter": tuple,
        "requires": frozenset,
    }
    return Step(**_read(data, own))


def _ports(data: Sequence[Any]) -> tuple[Port, ...]:
    return tuple(Port(**_read(port, {"sources": _maybe_tuple})) for port in data)


def _maybe_tuple(value: Any) -> Any:
    return None if value is None else tuple(value)


def _to_json(value: Any, **own: Callable[[Any], Any]) -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if part is MISSING or (field.default is not dataclasses.MISSING and part == field.default):
            continue
        if part is not None and field.name in own:
            part = own[field.name](part)
        found[field.name] = list(part) if isinstance(part, tuple) else part
    return found


def _read(data: Mapping[str, Any], own: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {name: own[name](part) if name in own else part for name, part in data.items()}
