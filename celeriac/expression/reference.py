"""Parameter references, ``$(inputs.file.path)``: no JavaScript, just a walk along the segments.

CWL v1.2, "Parameter references": a name, then ``.key``, ``['key']``, ``["key"]`` or ``[0]``; ``length``
as the last segment of an array is its length.
"""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSequence
from typing import Any

from cwl_utils.errors import WorkflowException
from cwl_utils.sandboxjs import segment_re


def resolve(name: str, rest: str, value: Any) -> Any:
    """Follow the segments in ``rest`` from ``value``, which is what ``name`` stands for.

    Raises :class:`cwl_utils.errors.WorkflowException` where the way ends, since ``cwl_utils`` then
    tries the text as JavaScript.
    """
    done = 0
    while match := segment_re.match(rest, done):
        so_far, done = name + rest[:done], match.end(1)
        key = _key(match.group(1))
        if key == "length" and isinstance(value, MutableSequence) and done == len(rest):
            return len(value)
        value = _item(so_far, value, key)
    return value


def _key(segment: str) -> str | int:
    if segment.startswith("."):
        return segment[1:]
    if segment[1] in "'\"":
        return segment[2:-2].replace("\\'", "'").replace('\\"', '"')
    return int(segment[1:-1])


def _item(so_far: str, value: Any, key: str | int) -> Any:
    wanted: type[Any] = MutableMapping if isinstance(key, str) else MutableSequence
    if not isinstance(value, wanted):
        index = f"string '{key}'" if isinstance(key, str) else f"int '{key}'"
        raise WorkflowException(f"{so_far} is a {type(value).__name__}, cannot index on {index}")
    try:
        return value[key]
    except KeyError:
        raise WorkflowException(f"{so_far} does not contain key {key!r}") from None
    except IndexError:
        raise WorkflowException(f"{so_far} list index {key} out of range") from None
