"""The quick reader of YAML gives what schema-salad's own gives, with all places, or nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from schema_salad.utils import yaml_no_ts

from celeriac.document.quick_yaml import parse

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("examples/**/*.cwl"), *ROOT.glob("examples/**/*.y*ml")])

BITS = (
    "a b - -- x:y : ? 0 1 -1 +2 1.5 0.10 1e3 .5 -.inf .nan 0x1F 0o7 010 1_000 -_ ~ null yes no on true True y n "
    "é 日 😀 $(inputs.a) ${return(1)} 2001-01-01 1:30 http://x/y file#b # \" ' \\ \\n \\t \\u00e9 \\x41 \\/ , = < << > "
    "| ` @ % [ ] { } \"\" '' . .. ... --- _ e E + / & * !"
).split() + [" ", "  ", ": ", ", ", " #", "\t"]
LINES = ["\n", "\n", "\n  ", "\n- ", "\n  - ", "k: ", "k:\n  ", "|\n  ", ">-\n  ", "&a ", "*a", "!!str ", "---\n"]

plain = st.lists(st.sampled_from(BITS), min_size=1, max_size=3).map("".join)
scalars = plain | plain | plain.map('"{}"'.format) | plain.map("'{}'".format)
flow = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(scalars, st.sampled_from([": ", ":", " : "]), inner).map("".join), max_size=3).map(
            lambda items: f"{{{', '.join(items)}}}"
        )
    ),
    max_leaves=5,
)
blocks = st.tuples(
    st.sampled_from(["|", ">", "|-", ">-", "|+", ">+", "|2", "> "]), st.lists(plain, max_size=3).map("\n  ".join)
).map(lambda parts: f"{parts[0]}\n  {parts[1]}")
documents = st.lists(
    st.tuples(st.sampled_from("abcdef"), flow | blocks | st.lists(plain, min_size=2, max_size=3).map("\n   ".join)),
    min_size=1,
    max_size=4,
).map(lambda pairs: "\n".join(f"{key}: {value}" for key, value in pairs))


def slowly(text: str) -> Any:
    return next(yaml_no_ts().load_all(io.StringIO(text)))


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, (CommentedMap, CommentedSeq)):
        assert type(found) is type(wanted)
        assert (found.lc.line, found.lc.col, found.lc.data) == (wanted.lc.line, wanted.lc.col, wanted.lc.data or None)
        pairs = wanted.items() if isinstance(wanted, CommentedMap) else enumerate(wanted)
        assert len(found) == len(wanted) and (isinstance(wanted, CommentedSeq) or list(found) == list(wanted))
        for key, value in pairs:
            assert_same(found[key], value)
    elif isinstance(wanted, str):
        assert found == wanted
    else:
        assert type(found) is type(wanted) and repr(found) == repr(wanted)


def check(text: str) -> bool:
    """Return whether it was read quickly, and as it is read slowly."""
    found = parse(text)
    if found is None:
        return False
    try:
        wanted = slowly(text)
    except NotImplementedError:  # some comments are too much for ruamel.yaml
        return True
    assert_same(found, wanted)
    return True


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_our_documents_are_read_quickly(path: Path) -> None:
    assert check(path.read_text())


@given(documents)
@settings(max_examples=600, deadline=None)
def test_documents_are_the_same(text: str) -> None:
    check(text)


@given(st.lists(st.sampled_from(BITS + LINES), max_size=12).map("".join))
@settings(max_examples=600, deadline=None)
@example("b: ")  # its place
@example("b: ---\n")
@example("k: |#\n  a")
@example("{k: {a: -}}")
@example("{k: -_}")
@example("{0\n\na")
@example("k: v\n---\n|a")
def test_any_text_is_read_the_same_or_left(text: str) -> None:
    check(f"k: v\n{text}")
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n", "a: !!str 1\n", "%YAML 1.1\n---\na: yes\n", "<<: {a: 1}\n", "a: 1\na: 2\n", "a:\n\tb: 1\n",
        "1: a\n", "[a]: b\n", "- a\n", "a", "", "a: [1\n", "a: \x85\n", "\ufeffa: 1\n", "a: 1\r\n",
    ],
)  # fmt: skip
def test_what_is_wrong_or_could_be_read_in_two_ways_is_left(text: str) -> None:
    assert parse(text) is None
