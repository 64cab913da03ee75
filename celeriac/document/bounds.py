"""How large a document from outside may be, looked at before anything is made of it.

YAML lets a few lines stand for more than any memory holds: an alias counts as all that it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from ruamel.yaml.error import YAMLError
from schema_salad.utils import yaml_no_ts

from celeriac.document.quick_yaml import is_strange
from celeriac.errors import DocumentError
from celeriac.graph.model import Process

#: Bytes of one file, and of all files of a document.
FILE, ALL = 4 * 2**20, 16 * 2**20
#: Files of a document.
FILES = 500
#: Levels of nesting.
DEPTH = 64
#: Values in one file: texts, numbers, lists, mappings, each counted as often as an alias repeats it.
VALUES = 200_000
#: Characters of a number: to read a longer one takes longer than the square of it.
DIGITS = 1000
#: Steps of a workflow, with those of its subworkflows wherever they are run.
STEPS = 10_000


@dataclass
class Budget:
    """What is left of a document's bounds while its files are read."""

    bytes: int = ALL
    files: int = FILES
    seen: set[str] = field(default_factory=set)

    def spend(self, uri: str, text: str) -> None:
        """Count one file; raises :class:`~celeriac.errors.DocumentError` where it is too much."""
        if uri in self.seen:
            return
        self.seen.add(uri)
        self.bytes -= len(text)
        self.files -= 1
        if self.bytes < 0:
            raise DocumentError(f"the document's files have more than {ALL} bytes together, which is not allowed")
        if self.files < 0:
            raise DocumentError(f"the document is made of more than {FILES} files, which is not allowed")


def check_text(text: str) -> None:
    """Raise :class:`~celeriac.errors.DocumentError` for YAML that is too large, too deep, or grows by its aliases."""
    if len(text) > FILE:
        raise DocumentError(f"this has more than {FILE} bytes, which is not allowed")
    try:
        events = [] if is_strange(text) or not yaml.__with_libyaml__ else yaml.parse(text, yaml.CSafeLoader)
        if _Counter().count(events) and events:
            return
    except yaml.YAMLError:
        pass
    try:  # what libyaml can't read, or reads in another way, is read by ruamel.yaml later
        _Counter().count(yaml_no_ts().parse(text))
    except YAMLError:
        pass  # who reads it says what is wrong


class _Counter:
    """Counts values as they come, with what aliases stand for."""

    def __init__(self) -> None:
        self._open: list[tuple[str | None, int]] = []  # anchors of what is open, and the count where each began
        self._sizes: dict[str, int] = {}
        self._count = 0

    def count(self, events: Iterable[Any]) -> int:
        """Return how many values there are; raises :class:`~celeriac.errors.DocumentError`."""
        for event in events:
            kind = type(event).__name__
            if kind == "AliasEvent":
                self._alias(event.anchor)
            elif kind == "ScalarEvent":
                self._begin(event)
                self._end()
                _check_number(event)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._begin(event)
                if len(self._open) > DEPTH:
                    raise _bad(f"is nested more than {DEPTH} levels deep", event)
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._end()
            if self._count > VALUES:
                raise _bad(f"has more than {VALUES} values, each counted as often as an alias repeats it,", event)
        return self._count

    def _begin(self, event: Any) -> None:
        self._open.append((event.anchor, self._count))
        self._count += 1
        if event.anchor:
            self._sizes[event.anchor] = -1

    def _end(self) -> None:
        anchor, before = self._open.pop()
        if anchor:
            self._sizes[anchor] = self._count - before

    def _alias(self, anchor: str) -> None:
        size = self._sizes.get(anchor, 0)
        if size < 0:
            raise DocumentError(f"the alias *{anchor} stands within what it stands for: that has no end")
        self._count += size + 1


def _check_number(event: Any) -> None:
    text = event.value
    if event.style is None and len(text) > DIGITS and text.lstrip("+-")[:1].isdigit():
        raise _bad(f"has a number of more than {DIGITS} digits", event)


def _bad(what: str, event: Any) -> DocumentError:
    return DocumentError(f"this {what.rstrip(',')}, which is not allowed (line {event.start_mark.line + 1})")


def check_steps(graph: Process) -> None:
    """Raise :class:`~celeriac.errors.DocumentError` for a workflow with too many steps."""
    if (number := _steps(graph, {})) > STEPS:
        raise DocumentError(
            f"the workflow has {number} steps with those of its subworkflows: {STEPS} are allowed",
            hint="scatter a step over its inputs, or split the run",
        )


def _steps(process: Process, known: dict[int, int]) -> int:
    """Count steps; what several of them run is counted for each, but looked at once."""
    found = known.get(id(process))
    if found is None:
        found = known[id(process)] = sum(1 + _steps(step.process, known) for step in (process.steps or {}).values())
    return found


def check_value(value: Any) -> None:
    """Raise :class:`~celeriac.errors.DocumentError` for a value with as many values or levels; it may be no tree."""
    count, waiting = 0, [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        count += 1
        if depth > DEPTH:
            raise DocumentError(f"this is nested more than {DEPTH} levels deep, which is not allowed")
        if count > VALUES:
            raise DocumentError(f"this has more than {VALUES} values, which is not allowed")
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for part in one.values()]
        elif isinstance(one, (list, tuple)):
            waiting += [(part, depth + 1) for part in one]
