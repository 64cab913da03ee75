"""What cwltool says is wrong, made short: the place, the field, the reason.

cwltool tells the way to a fault level by level, one line each. Where the way does not fork, only its end
is kept; where it forks (a value may have one of several types, and fits none), all below the fork is.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass

from cwltool.errors import WorkflowException
from schema_salad.exceptions import SchemaSaladException

from celeriac.errors import AccessError

_FIELD = re.compile(r"the '(.+)' field is not valid because")
_PLACE = re.compile(r"([^\s:]+(?::\d+){1,2}): *(.*)", re.DOTALL)
_INCLUDED_BY = re.compile(r"(?:\(\d+\) )?\((file:\S+)\) Validation error in (?:field )?(.+):")
_ERRNO = re.compile(r"\[Errno -?\d+\] ([^:]+)(?:: '([^']+)')?")
_MADE_UP = re.compile(r"is not a valid (?:[a-z]?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|enum_[0-9a-f]{40})")
_POOL = re.compile(
    r"HTTPS?ConnectionPool\(host='(.+?)', port=(\d+)\): Max retries exceeded with url: (\S+) .*\] (.*?)[)\"']*$"
)
_FETCH = re.compile(r"Error fetching (\S+): (?:.*\[Errno -?\d+\] )?(.*?)[)\"']*$", re.DOTALL)


@dataclass(frozen=True)
class Reason:
    """Why something is not valid."""

    where: str  # file:line:column; empty where cwltool does not tell
    text: str
    fields: tuple[str, ...] = ()  # the names of the fields on the way to it, the outermost first

    @property
    def sentence(self) -> str:
        """The text, with the name of the field if it does not speak of one itself."""
        if not self.fields or "field '" in self.text:
            return self.text
        return f"the field '{self.fields[-1]}' is not valid: {self.text}"


def denied(error: BaseException) -> AccessError | None:
    """Return the refusal that cwltool has made an error of its own of, if that is what it was."""
    seen: BaseException | None = error
    for _ in range(50):
        if seen is None or isinstance(seen, AccessError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def reason(error: BaseException) -> Reason:
    """Return what ``error`` tells; it may wrap what schema-salad raised."""
    tree = error if isinstance(error, SchemaSaladException) else error.__cause__
    if isinstance(tree, SchemaSaladException) and tree.children:
        return _end(tree)
    text = "\n    ".join(line.strip() for line in plain(str(error)).splitlines())
    if not isinstance(error, (SchemaSaladException, WorkflowException)):  # a KeyError is a bare name
        text = f"{type(error).__name__}: {text}"
    found = _PLACE.match(text)
    return Reason(_readable(found[1]), found[2]) if found else Reason("", text)


def _end(top: SchemaSaladException) -> Reason:
    """Follow a tree of exceptions to where it forks or ends."""
    fields: list[str] = []
    node, where, file, message = top, "", "", top.message
    while True:
        where = _place(node) or where
        if match := _FIELD.fullmatch(node.message):
            fields.append(match[1])
        if match := _INCLUDED_BY.fullmatch(node.message):
            file = file or plain(match[1])
            fields += [] if match[2].startswith("position") else [match[2]]
        message = node.message or message
        if len(node.children) != 1:
            break
        node = node.children[0]
    where = where or file
    if top.message.startswith("while "):  # the YAML parser's
        began = f" that begins in line {top.start[0]}" if top.start else ""
        return Reason(where, f"this is not valid YAML: {message} {top.message}{began}")
    leaves = node.leaves()
    if len({leaf.message for leaf in leaves}) == 1:
        return Reason(where, plain(leaves[0].message), tuple(fields))
    ends = [plain(f"{_place(leaf) or where}: {leaf.message}") for leaf in leaves]
    return Reason(where, "\n    ".join(["none of this fits:", *ends]), tuple(fields))


def plain(text: str) -> str:
    """Return ``text`` without URIs of local files, dumps of objects, made-up names and Python's types."""
    text = text.strip().removeprefix("Invalid job input record:\n").strip()
    text = re.sub(r"(?: from file object)?: \{\n.*", "", text, flags=re.DOTALL)
    text = _MADE_UP.sub("is not valid", text)
    text = _FETCH.sub(lambda found: f"{found[1]} can't be fetched: {found[2]}", text)
    text = _POOL.sub(lambda found: f"{found[1]}:{found[2]}{found[3]} can't be reached: {found[4]}", text)
    text = _ERRNO.sub(lambda found: found[1] + (f": {_relative(found[2])}" if found[2] else ""), text)
    text = re.sub(r"""["']+'(.*?)'["']+""", r"'\1'", text)
    for theirs, ours in (("org.w3id.cwl.cwl.", ""), ("CommentedMap", "mapping"), ("CommentedSeq", "list")):
        text = text.replace(theirs, ours)
    return re.sub(r"file://(/[^\s'\"#]*)", lambda found: _relative(urllib.parse.unquote(found[1])), text)


def _place(node: SchemaSaladException) -> str:
    return _readable(node.prefix().rstrip(": "))


def _readable(place: str) -> str:
    return os.path.abspath(place) if place.startswith(".." + os.sep) else place


def _relative(path: str) -> str:
    short = os.path.relpath(path)
    return path if short.startswith(".." + os.sep) else short
