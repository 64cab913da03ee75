"""The queue file: path -> limits, or one clear message that names the line."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import yaml

from celeriac.errors import QueueFileError
from celeriac.resources import CONTROL_QUEUE, QueueLimits
from queues.fields import KEYS, unknown
from queues.nodes import Refused, compose, describe, is_null, line_of, pairs, shown

#: A queue file of more bytes than this is something else.
MAX_BYTES = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_MAX_NAME = 255  # bytes in an AMQP short string
_EXAMPLE = "A queue is one line: advanced: {cpus: 2, ram: 2048}"
# Each queue has an exchange of its name. These exist already, with another type or owner.
_TAKEN = {"celeryev", "celery.pidbox", "reply.celery.pidbox"}


def load(path: Path | str) -> tuple[QueueLimits, ...]:
    """Return the queues of a file in the file's order.

    Raises :class:`~celeriac.errors.QueueFileError` at the first mistake, with ``where`` set to
    ``path:line`` and the fields ``path`` and ``line`` (None when the file can't be read at all).
    """
    path = Path(path)
    data = _read(path)
    try:
        return _queues(_text(data))
    except Refused as refused:
        raise QueueFileError(
            refused.message,
            hint=refused.hint,
            where=f"{path}:{refused.line}",
            path=str(path),
            line=refused.line,
        ) from None


def _read(path: Path) -> bytes:
    hint = "Give the path of a queue file, or none to use the queues that come with Celeriac."
    try:
        # Opening a pipe would wait for a writer for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unread(path, "the queue file is not a regular file", hint)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unread(path, "the queue file does not exist", hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unread(path, f"the queue file can't be read: {reason}", hint) from None
    if len(data) > MAX_BYTES:
        raise _unread(path, f"the queue file is larger than 1 MiB ({MAX_BYTES} bytes)", _EXAMPLE)
    return data


def _unread(path: Path, message: str, hint: str) -> QueueFileError:
    return QueueFileError(message, hint=hint, where=str(path), path=str(path), line=None)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(line, "the queue file is not UTF-8 text", "Save it as UTF-8.") from None


def _queues(text: str) -> tuple[QueueLimits, ...]:
    root = compose(text)
    if root is None or is_null(root):
        raise Refused(1, "the queue file is empty, expected at least one queue", _EXAMPLE)
    if not isinstance(root, yaml.MappingNode):
        raise Refused(
            line_of(root), f"expected a mapping of queue names to limits, found {describe(root)}", _EXAMPLE
        )
    if not root.value:
        raise Refused(line_of(root), "the queue file has no queue, expected at least one", _EXAMPLE)
    found: list[QueueLimits] = []
    for name, node in pairs(root, "queue"):
        _check_name(name)
        found.append(_queue(name, node, found))
    return tuple(found)


def _queue(name: yaml.ScalarNode, node: yaml.Node, before: list[QueueLimits]) -> QueueLimits:
    if not isinstance(node, yaml.MappingNode):
        raise Refused(
            line_of(name),
            f"queue {name.value}: expected a mapping of limits, found {describe(node)}",
            _EXAMPLE,
        )
    values: dict[str, Any] = {}
    for key, value in pairs(node, f"queue {name.value}: key"):
        if key.value not in KEYS:
            raise unknown(key, name.value)
        values[key.value] = KEYS[key.value](value, f"queue {name.value}: {key.value}")
        if key.value == "default" and values["default"]:
            _check_only_default(key, name.value, before)
    for required in ("cpus", "ram"):
        if required not in values:
            raise Refused(line_of(name), f"queue {name.value}: {required} is missing", _EXAMPLE)
    return QueueLimits(name.value, **values)


def _check_only_default(key: yaml.ScalarNode, name: str, before: list[QueueLimits]) -> None:
    for other in before:
        if other.default:
            raise Refused(
                line_of(key),
                f"queue {name}: a second default queue, the first is {other.name}",
                "Mark one queue at most.",
            )


def _check_name(key: yaml.ScalarNode) -> None:
    name = key.value
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise Refused(
            line_of(key),
            f"queue name {shown(name)} is not allowed",
            f"Use letters, digits, '_', '-' and '.', not '.' first, {_MAX_NAME} characters at most.",
        )
    if name == CONTROL_QUEUE:
        raise Refused(line_of(key), f"queue name {name} is reserved for Celeriac's own tasks", "Rename it.")
    if name in _TAKEN or name.startswith("amq."):
        raise Refused(line_of(key), f"queue name {name} is reserved by the broker or Celery", "Rename it.")
