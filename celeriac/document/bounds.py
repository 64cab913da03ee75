"""How large a document from outside may be, looked at before anything is made of it.

YAML lets a few lines stand for more than any memory holds: an alias counts as all that it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

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
#: Files that import one another in a row.
IMPORTS = 8
#: Steps of a workflow, with those of its subworkflows wherever they are run.
STEPS = 10_000


@dataclass
class Budget:
    """What is left of a document's bounds while its files are read."""

    bytes: int = ALL
    files: int = FILES
    seen: set[str] = field(default_factory=set)
    imports: dict[str, set[str]] = field(default_factory=dict)  # file's name -> names of files
    depths: dict[str, int] = field(default_factory=dict)  # file's name -> files above it, by the longest way

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

    def follow(self, uri: str, references: Iterable[str]) -> None:
        """Note what a file imports; raises :class:`~celeriac.errors.DocumentError` where that leads back to it.

        schema-salad would follow it till the process dies. Names of files are compared, without directories: what
        these are relative to can be changed within a document. A file gets deeper eight times at most, so there is
        little to do here however many ways lead to it.
        """
        name = _name(uri)
        self.imports.setdefault(name, set()).update(map(_name, references))
        waiting = [name]
        while waiting:
            above = waiting.pop()
            for one in self.imports.get(above, ()):
                if one in (name, ""):
                    raise DocumentError(f"a $import leads back to the file that it stands in: {one or 'itself'}")
                depth = self.depths.get(above, 0) + 1
                if depth > IMPORTS:
                    raise DocumentError(f"$import is followed through {IMPORTS} files, and not further")
                if depth > self.depths.get(one, 0):
                    self.depths[one] = depth
                    waiting.append(one)


def _name(reference: str) -> str:
    name = unquote(urlsplit(reference).path).rstrip("/").rpartition("/")[2]
    return "" if name in (".", "..") else name


def check_text(text: str) -> list[str]:
    """Return what a text in YAML imports.

    Raises :class:`~celeriac.errors.DocumentError` for one that is too large, too deep, or grows by its aliases.
    """
    if len(text) > FILE:
        raise DocumentError(f"this has more than {FILE} bytes, which is not allowed")
    if yaml.__with_libyaml__ and not is_strange(text):
        counter = _Counter()
        with suppress(yaml.YAMLError):
            counter.count(yaml.parse(text, yaml.CSafeLoader))
            return counter.imports
    # what libyaml can't read, or reads in another way, is read by ruamel.yaml later
    counter = _Counter()
    with suppress(YAMLError):  # who reads it says what is wrong
        counter.count(yaml_no_ts().parse(text))
    return counter.imports


@dataclass
class _Open:
    """A list or mapping that has not ended."""

    anchor: str | None
    before: int  # the count where it began
    mapping: bool
    key: Any = None  # the last one of a mapping; None: the next value is one


class _Counter:
    """Counts values as they come, with what aliases stand for, and notes imports."""

    def __init__(self) -> None:
        self.imports: list[str] = []
        self._open: list[_Open] = []
        self._sizes: dict[str, int] = {}
        self._count = 0

    def count(self, events: Iterable[Any]) -> None:
        """Look at all events; raises :class:`~celeriac.errors.DocumentError`."""
        for event in events:
            kind = type(event).__name__
            if kind in ("MappingEndEvent", "SequenceEndEvent"):
                one = self._open.pop()
                self._size(one.anchor, self._count - one.before)
            elif kind in ("AliasEvent", "ScalarEvent", "MappingStartEvent", "SequenceStartEvent"):
                self._place(event, kind)
                self._value(event, kind)
            if self._count > VALUES:
                raise _bad(f"has more than {VALUES} values, each counted as often as an alias repeats it,", event)

    def _value(self, event: Any, kind: str) -> None:
        before = self._count
        self._count += 1
        if kind == "AliasEvent":
            size = self._sizes.get(event.anchor, 0)
            if size < 0:
                raise _bad(f"has the alias *{event.anchor} within what it stands for, which has no end", event)
            self._count += size
        elif kind == "ScalarEvent":
            self._size(event.anchor, 1)
            _check_number(event)
        else:
            self._size(event.anchor, -1)
            self._open.append(_Open(event.anchor, before, kind == "MappingStartEvent"))
            if len(self._open) > DEPTH:
                raise _bad(f"is nested more than {DEPTH} levels deep", event)

    def _size(self, anchor: str | None, size: int) -> None:
        if anchor:
            self._sizes[anchor] = size

    def _place(self, event: Any, kind: str) -> None:
        """Note a key of a mapping, or what stands at one that has another file take its place."""
        if not self._open or not self._open[-1].mapping:
            return
        inside, text = self._open[-1], event.value if kind == "ScalarEvent" else None
        if inside.key is None:
            if kind == "AliasEvent":
                raise _bad("has an alias as a key", event)
            inside.key = text or ""
            return
        if inside.key in ("$import", "$mixin"):
            if text is None:
                raise _bad(f"has a {inside.key} that is no text", event)
            self.imports.append(text)
        if inside.key == "$base":
            raise _bad("has a $base", event)
        inside.key = None


def _check_number(event: Any) -> None:
    text = event.value
    if not event.style and len(text) > DIGITS and text.lstrip("+-")[:1].isdigit():
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
