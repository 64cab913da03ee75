"""A part of a document as JSON with its places in the files, and back: messages name the lines.

The values are written as they are; beside them, in the order in which they are met, goes one place for each
mapping and list: its line and column, its file, and those of what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq, LineCol


class Writer:
    """Takes values apart. What several of them share, files and lines, is written once."""

    def __init__(self) -> None:
        self.files: list[str] = []  # absolute
        self.lines: list[Any] = []  # lists of pairs
        self._known: dict[Any, int] = {}
        self._kept: list[Any] = []  # while their identities count

    def places(self, value: Any) -> list[Any]:
        """Return the places of a value and of all that is in it."""
        found: list[Any] = []
        self._add(value, found)
        return found

    def _add(self, value: Any, found: list[Any]) -> None:
        if isinstance(value, dict):
            found.append(self._place(value) if isinstance(value, CommentedMap) else 0)
            for part in value.values():
                self._add(part, found)
        elif isinstance(value, (list, tuple)):
            found.append(self._place(value) if isinstance(value, CommentedSeq) else 0)
            for part in value:
                self._add(part, found)

    def _place(self, value: Any) -> list[Any]:
        place = value.lc
        file = getattr(place, "filename", None)
        where = None if file is None else self._number(self.files, file, lambda: os.path.abspath(file))
        return [place.line, place.col, where, None if place.data is None else self._lines(place.data)]

    def _lines(self, data: Any) -> int:
        self._kept.append(data)
        return self._number(self.lines, id(data), lambda: [list(pair) for pair in data.items()])

    def _number(self, table: list[Any], key: Any, make: Callable[[], Any]) -> int:
        """Return where in a table something is; put it there the first time."""
        if key not in self._known:
            self._known[key] = len(table)
            table.append(make())
        return self._known[key]


class Reader:
    """Puts values together; ``files`` and ``lines`` are the writer's."""

    def __init__(self, files: list[str], lines: list[Any]) -> None:
        self._files = [file if ":" in file else os.path.relpath(file) for file in files]
        self._lines = [[(key, place) for key, place in pairs] for pairs in lines]
        self._shared: dict[int, dict[Any, Any]] = {}

    def value(self, value: Any, places: list[Any]) -> Any:
        """Return a value with its places."""
        return self._make(value, iter(places))

    def _make(self, value: Any, places: Iterator[Any]) -> Any:
        if isinstance(value, dict):
            place = next(places)
            made: Any = CommentedMap() if place else {}
            for key, part in value.items():
                made[key] = self._make(part, places)
        elif isinstance(value, list):
            place = next(places)
            parts = [self._make(part, places) for part in value]
            made = CommentedSeq(parts) if place else parts
        else:
            return value
        if place:
            setattr(made, LineCol.attrib, self._place(*place))
        return made

    def _place(self, line: int, column: int, file: int | None, lines: int | None) -> LineCol:
        place = LineCol()
        vars(place).update(line=line, col=column)
        if file is not None:
            vars(place)["filename"] = self._files[file]
        if lines is not None:
            if lines not in self._shared:
                self._shared[lines] = dict(self._lines[lines])
            place.data = self._shared[lines]
        return place
