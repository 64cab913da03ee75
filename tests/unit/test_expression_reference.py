"""Parameter references give what cwl_utils' own walk gives."""

from __future__ import annotations

from typing import Any

import pytest
from cwl_utils.errors import WorkflowException
from cwl_utils.sandboxjs import NodeJSEngine, segment_re
from hypothesis import given
from hypothesis import strategies as st

from celeriac.expression.reference import resolve

THEIRS = NodeJSEngine().regex_eval  # pure Python, it starts no node

KEYS = st.sampled_from(["a", "b", "length", "it's", 'q"q', "class"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def segment(key: str | int, form: str) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if form == "." and key.isidentifier():
        return f".{key}"
    if form == '"':
        return '["' + key.replace('"', '\\"') + '"]'
    return "['" + key.replace("'", "\\'") + "']"


PATHS = st.lists(
    st.builds(segment, KEYS | st.integers(0, 3), st.sampled_from([".", '"', "'"])), max_size=4
).map("".join)


def outcome(walk: Any, path: str, value: Any) -> Any:
    try:
        return "value", walk("inputs", path, value)
    except (WorkflowException, IndexError):  # theirs lets [0] of an empty list out as IndexError
        return "error", None


@given(path=PATHS, value=VALUES)
def test_the_same_as_cwl_utils(path: str, value: Any) -> None:
    assert outcome(resolve, path, value) == outcome(THEIRS, path, value)


@given(path=PATHS)
def test_the_paths_above_are_references(path: str) -> None:
    assert not path or segment_re.match(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".a.b.nope", "inputs.a.b does not contain key 'nope'"),
        (".a.list[5]", "inputs.a.list list index 5 out of range"),
        (".a.list.x", "inputs.a.list is a list, cannot index on string 'x'"),
        (".a[0]", "inputs.a is a dict, cannot index on int '0'"),
        (".a.list.length.x", "inputs.a.list is a list, cannot index on string 'length'"),
    ],
)
def test_an_error_names_where_the_way_ends(path: str, message: str) -> None:
    with pytest.raises(WorkflowException) as caught:
        resolve("inputs", path, {"a": {"b": {}, "list": [1]}})
    assert str(caught.value) == message


def test_a_long_way_needs_no_stack() -> None:
    value: Any = "end"
    for _ in range(20_000):
        value = {"a": value}
    assert resolve("inputs", ".a" * 20_000, value) == "end"
