"""CWL values as JSON text, without losing how a number was written.

A tool gets ``1.23e5`` on its command line as ``123000`` and ``1.0`` as ``1.0`` (CWL v1.2,
CommandLineBinding: decimals, no exponent), so a number's written form is part of its value. YAML
gives it as ``ScalarFloat``; JSON would forget it.
"""

from __future__ import annotations

import json
from typing import Any

from ruamel.yaml.scalarfloat import ScalarFloat

_MARK = "celeriac:float"
_FIELDS = ("_width", "_prec", "_m_sign", "_m_lead0", "_exp", "_e_width", "_e_sign", "_underscore")


def dumps(value: Any) -> str:
    """Return a value as JSON text."""
    # ASCII: the name of a file may hold bytes that are no UTF-8, which no database takes as text
    return json.dumps(_mark(value) if _is_written(value) else value, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """Return the value of :func:`dumps`'s text."""
    mark: Any = _MARK if isinstance(text, str) else _MARK.encode()
    return json.loads(text, object_hook=_unmark) if mark in text else json.loads(text)


def _is_written(value: Any) -> bool:
    """Whether there is anything to mark: a large value is not copied for nothing."""
    if isinstance(value, dict):
        return any(_is_written(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_written(part) for part in value)
    return isinstance(value, ScalarFloat)


def _mark(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value
    if isinstance(value, dict):
        return {key: _mark(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mark(part) for part in value]
    if isinstance(value, ScalarFloat):
        return {_MARK: [float(value), *(getattr(value, field) for field in _FIELDS)]}
    return value


def _unmark(data: dict[str, Any]) -> Any:
    written = data.get(_MARK)
    if len(data) != 1 or not isinstance(written, list) or len(written) != 1 + len(_FIELDS):
        return data
    if not isinstance(written[0], float):  # a document's own value that only looks like ours
        return data
    fields = {field[1:]: part for field, part in zip(_FIELDS, written[1:], strict=True)}
    return ScalarFloat(written[0], **fields)
