"""Read YAML as schema-salad does, many times faster, where that can be told to give the same.

schema-salad reads with ruamel.yaml, all in Python, for the lines and columns that its messages name. libyaml
knows these too: here its events become the same mappings and lists, at the same places. It speaks YAML 1.1,
ruamel.yaml 1.2, and neither to the letter: a text with anything on which they could differ is left to the
other, and so is one that is wrong, whose message must stay what it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq, LineCol
from schema_salad.utils import yaml_no_ts
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

#: What the two read in different ways, or one of them not at all: breaks of lines that are no line feed, tabs,
#: characters that are not printed, a comment at the head of a block.
_STRANGE = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[|>][-+0-9]*#"
)
#: What begins a plain scalar that may be something else than a text.
_NO_TEXT = frozenset("-+.0123456789~nNtTfF=<")
_WHOLE = re.compile(r"[-+]?[1-9][0-9]*")
_NUMBER = re.compile(r"[-+.0-9][-+.\w]*")
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_NOTHING = frozenset(("~", "null", "Null", "NULL"))


class _Left(Exception):
    """The text is left to ruamel.yaml."""


def is_strange(text: str) -> bool:
    """Whether a text has anything that libyaml and ruamel.yaml may read in different ways."""
    return _STRANGE.search(text) is not None


def parse(text: str) -> CommentedMap | None:
    """Return the text's first document if it is a mapping; None: only ruamel.yaml can tell."""
    if not yaml.__with_libyaml__ or is_strange(text):
        return None
    reader = _Reader(text)
    try:
        found = reader.document()
    except (_Left, yaml.YAMLError, RecursionError):
        return None
    finally:
        reader.close()
    return found if isinstance(found, CommentedMap) else None


class _Reader:
    def __init__(self, text: str) -> None:
        self._parser = yaml.CSafeLoader(text)
        self._event: Callable[[], Any] = self._parser.get_event

    def close(self) -> None:
        self._parser.dispose()

    def document(self) -> Any:
        self._event()  # of the stream
        start = self._event()
        if not isinstance(start, DocumentStartEvent) or start.version or start.tags:
            raise _Left
        found = self._value(self._event())
        self._event()  # of the document's end
        if not isinstance(self._event(), StreamEndEvent):  # the other reads on, and may find a fault there
            raise _Left
        return found

    def _value(self, event: Any) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            return _scalar(event)
        if kind is MappingStartEvent:
            return self._mapping(event)
        if kind is SequenceStartEvent:
            return self._sequence(event)
        raise _Left  # an alias

    def _mapping(self, start: Any) -> CommentedMap:
        at: Any
        found, lines = CommentedMap(), dict[str, list[int]]()
        next_event = self._event
        while type(event := next_event()) is not MappingEndEvent:
            if type(event) is not ScalarEvent:
                raise _Left
            key = _scalar(event)
            if type(key) is not str or key in lines:  # twice: an error
                raise _Left
            value = next_event()
            at, there = event.start_mark, value.start_mark
            found[key] = self._value(value)
            lines[key] = [at.line, at.column, there.line, there.column]
        _place(found, start, lines)
        return found

    def _sequence(self, start: Any) -> CommentedSeq:
        found, lines = CommentedSeq(), dict[int, list[int]]()
        next_event = self._event
        while type(event := next_event()) is not SequenceEndEvent:
            at: Any = event.start_mark
            lines[len(found)] = [at.line, at.column]
            found.append(self._value(event))
        _place(found, start, lines)
        return found


def _place(found: Any, start: Any, lines: Any) -> None:
    if start.anchor or start.tag:
        raise _Left
    place = LineCol()
    place.line, place.col = start.start_mark.line, start.start_mark.column
    place.data = lines or None
    setattr(found, LineCol.attrib, place)


def _scalar(event: Any) -> Any:
    if event.anchor or event.tag:
        raise _Left
    text: str = event.value
    if event.style:  # quoted, or a block
        return text
    if not text:  # the two place what is not there differently
        raise _Left
    return _plain(text) if text[0] in _NO_TEXT else text


@functools.lru_cache(1024)
def _plain(text: str) -> Any:
    """Return what a plain scalar stands for in YAML 1.2."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _NOTHING:
        return None
    if text in ("=", "<<"):
        raise _Left
    if _WHOLE.fullmatch(text):
        return int(text)
    if text == "-" or not _NUMBER.fullmatch(text):
        return text
    try:
        return yaml_no_ts().load(f"- {text}")[0]
    except Exception as error:
        raise _Left from error
