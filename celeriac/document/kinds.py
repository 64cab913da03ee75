"""CWL types as people write them: ``int?``, ``File[]``, ``record R {a: int}``."""

from __future__ import annotations

from typing import Any


def kind(declared: Any) -> str:
    """Return a type's short form."""
    if isinstance(declared, str):
        return _last(declared)
    if isinstance(declared, list):
        some = [kind(one) for one in declared if one != "null"]
        text = " | ".join(some)
        return text if len(some) == len(declared) else f"{text}?" if len(some) == 1 else f"{text} | null"
    inner = declared["type"]
    if inner == "array":
        items = kind(declared["items"])
        return f"({items})[]" if " " in items else f"{items}[]"
    if inner == "enum":
        return "one of " + ", ".join(_last(symbol) for symbol in declared["symbols"])
    if inner == "record":
        fields = (f"{_last(one['name'])}: {kind(one['type'])}" for one in declared["fields"])
        return f"record {{{', '.join(fields)}}}"
    return kind(inner)


def _last(identifier: str) -> str:
    return identifier.rpartition("#")[2].rpartition("/")[2]
