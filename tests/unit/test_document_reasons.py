"""cwltool's long answers made short, and types as people write them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cwltool.errors import WorkflowException
from schema_salad.exceptions import ValidationException
from schema_salad.sourceline import SourceLine, cmap

from celeriac.document.kinds import kind
from celeriac.document.reasons import Reason, plain, reason


@pytest.mark.parametrize(
    ("declared", "short"),
    [
        ("int", "int"),
        ("org.w3id.cwl.cwl#File", "File"),
        (["null", "File"], "File?"),
        (["int", "string"], "int | string"),
        (["null", "int", "string"], "int | string | null"),
        ({"type": "array", "items": "File"}, "File[]"),
        ({"type": "array", "items": ["int", "string"]}, "(int | string)[]"),
        ({"type": "array", "items": {"type": "array", "items": "int"}}, "int[][]"),
        ({"type": "enum", "symbols": ["file:///a#c/red", "file:///a#c/blue"]}, "one of red, blue"),
        (
            {
                "type": "record",
                "fields": [{"name": "a#r/x", "type": "int"}, {"name": "a#r/y", "type": ["null", "File"]}],
            },
            "record {x: int, y: File?}",
        ),
        ({"type": "string"}, "string"),
    ],
)
def test_kinds(declared: Any, short: str) -> None:
    assert kind(declared) == short


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Invalid job input record:\nno", "no"),
        ("in file:///nowhere/a%20b.cwl#main: no", "in /nowhere/a b.cwl#main: no"),
        ("[Errno 2] No such file or directory: '/nowhere/a'", "No such file or directory: /nowhere/a"),
        ("missing 'x' from file object: {\n  \"class\": 1\n}", "missing 'x'"),
        ("'c' is not a valid e868aa1a2-ada2-491a-840f-27a4776ee531, expected", "'c' is not valid, expected"),
        ("\"'many'\" is not int", "'many' is not int"),
        ("Error fetching http://h/a: 404 Client Error", "http://h/a can't be fetched: 404 Client Error"),
        (
            "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: /a (Caused by "
            'NewConnectionError("HTTPConnection: Failed: [Errno 111] Connection refused"))',
            "h:80/a can't be reached: Connection refused",
        ),
    ],
)
def test_plain(theirs: str, ours: str) -> None:
    assert plain(theirs) == ours


def at(line: int, column: int, key: str) -> SourceLine:
    """Return a place in a file."""
    source = cmap({key: 1}, lc=[line - 1, column - 1, 0, 0], fn="doc.cwl")
    source.lc.data[key] = [line - 1, column - 1, line - 1, column]
    return SourceLine(source, key)


def test_a_way_without_forks_is_its_end() -> None:
    end = ValidationException("the value 3 is not string", at(7, 5, "b"))
    middle = ValidationException("the 'b' field is not valid because", at(7, 3, "b"), [end])
    error = ValidationException("the 'a' field is not valid because", at(6, 1, "a"), [middle])
    found = reason(error)
    assert found == Reason("doc.cwl:7:5", "the value 3 is not string", ("a", "b"))
    assert found.sentence == "the field 'b' is not valid: the value 3 is not string"


def test_what_is_below_a_fork_is_kept() -> None:
    ends = [ValidationException(f"tried {name} but", None, [ValidationException(f"it is no {name}")]) for name in "xy"]
    found = reason(ValidationException("the 'a' field is not valid because", at(6, 1, "a"), ends))
    assert found.where == "doc.cwl:6:1"
    assert re.sub(r"\s+", " ", found.text) == "none of this fits: doc.cwl:6:1: it is no x doc.cwl:6:1: it is no y"


def test_ends_that_say_the_same_are_one() -> None:
    ends = [ValidationException("Missing 'class' field") for _ in range(3)]
    assert reason(ValidationException("", None, ends)).text == "Missing 'class' field"


def test_what_an_error_wraps_is_found() -> None:
    try:
        raise WorkflowException("Invalid job input record") from ValidationException(
            "the 'a' field is not valid because", None, [ValidationException("no")]
        )
    except WorkflowException as error:
        assert reason(error) == Reason("", "no", ("a",))


def test_a_place_in_a_text_is_found() -> None:
    assert reason(ValidationException("doc.cwl:4:10: no\nand no")) == Reason("doc.cwl:4:10", "no\n    and no")


def test_an_error_of_python_keeps_its_name() -> None:
    assert reason(KeyError("name")) == Reason("", "KeyError: 'name'")
