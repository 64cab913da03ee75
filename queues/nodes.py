"""YAML text to nodes that know their line, within bounds: no aliases, no deep nesting.

PyYAML's plain ``load`` forgets lines and silently takes the last of two equal keys, so the queue
file is read as nodes (``compose``), which construct no objects either.
"""

from __future__ import annotations

import yaml

#: A queue file has two levels; whatever is deeper is wrong, and very deep ends in a RecursionError.
MAX_DEPTH = 8


NULL = "tag:yaml.org,2002:null"
BOOLEAN = "tag:yaml.org,2002:bool"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class Refused(Exception):
    """The text is not a queue file: at which line (from 1), why, and what to do."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        self.line = line
        self.message = message
        self.hint = hint
        super().__init__(message)


class _BoundedLoader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else 1
        # An alias stands for a whole other node: a few lines of them stand for billions.
        if isinstance(event, yaml.AliasEvent):
            raise Refused(line, f"the alias *{event.anchor} is not allowed here", "Write each queue out.")
        if self.depth >= MAX_DEPTH:
            raise Refused(line, "nested too deeply", "A queue is one mapping: NAME: {cpus: 2, ram: 2048}")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(text: str) -> yaml.Node | None:
    """Return the root node of a single YAML document, None if it has none; raises :class:`Refused`."""
    try:
        return _BoundedLoader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax(error) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        raise Refused(
            len(before),
            f"not valid YAML at column {len(before[-1]) + 1}: "
            f"the character U+{ord(text[error.position]):04X} is not allowed",
        ) from None


def line_of(node: yaml.Node) -> int:
    """Return the line on which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def pairs(node: yaml.MappingNode, what: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return a mapping's keys and values; raises :class:`Refused` at a key that is there twice."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise Refused(line_of(key), f"{what} must be a name, found {describe(key)}")
        if key.value in seen:
            raise Refused(
                line_of(key),
                f"{what} {shown(key.value)} is there twice, first on line {seen[key.value]}",
                "Remove or rename one of the two.",
            )
        seen[key.value] = line_of(key)
    return list(node.value)


def describe(node: yaml.Node) -> str:
    """Say what a node is, in words for a message."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if not isinstance(node, yaml.ScalarNode):
        return "a list"
    if is_null(node):
        return "nothing"
    text = shown(node.value)
    if node.tag == BOOLEAN:
        return f"the boolean {node.value}"
    return text[1:-1] if node.tag in NUMBERS and not node.style else f"the text {text}"


def is_null(node: yaml.Node) -> bool:
    """Whether the value is missing: nothing after the colon, ``~`` or ``null``."""
    return bool(node.tag == NULL)


def shown(text: str) -> str:
    """Return the text as one short line for a message."""
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else quoted[:56] + "...'"


def _syntax(error: yaml.MarkedYAMLError) -> Refused:
    mark = error.problem_mark or error.context_mark
    began = error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    context = f" ({error.context}" if error.context else ""
    if context and began and began.line + 1 != line:
        context += f" that begins on line {began.line + 1}"
    context += ")" if context else ""
    return Refused(line, f"not valid YAML at column {column}: {error.problem}{context}")
