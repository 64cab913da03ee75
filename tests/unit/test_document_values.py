"""Values as JSON text: nothing is lost, not even how a number was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.scalarfloat import ScalarFloat

from celeriac.document.values import dumps, loads

WRITTEN = ["1.0", "1.50", "0.1", "1.23e5", "1e3", "+1.5", "-0.0", "1_000.5", "12e-4", "6.02E+23", ".5", "5."]


def _read(text: str) -> Any:
    return YAML().load(text)


def _write(value: Any) -> str:
    from io import StringIO

    stream = StringIO()
    YAML().dump({"value": value}, stream)
    return stream.getvalue()


@pytest.mark.parametrize("text", WRITTEN)
def test_a_number_comes_back_as_it_was_written(text: str) -> None:
    value = _read(text)
    assert isinstance(value, ScalarFloat)
    back = loads(dumps({"deep": [value]}))["deep"][0]
    assert type(back) is ScalarFloat
    assert float(back) == float(value)
    assert _write(back) == _write(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_any_written_decimal_comes_back(number: Any) -> None:
    value = _read(str(number))
    assert _write(loads(dumps(value))) == _write(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_bytes_are_read_as_text_is(value: Any) -> None:
    text = dumps(value)
    assert loads(text) == loads(text.encode()) == value


def test_tuples_become_lists() -> None:
    assert loads(dumps({"a": (1, (2.5, None))})) == {"a": [1, [2.5, None]]}


def test_plain_values_are_plain_json() -> None:
    assert dumps({"a": [1, 2.5, "x", None, True]}) == '{"a":[1,2.5,"x",null,true]}'


@pytest.mark.parametrize(
    "value",
    [
        {"celeriac:float": [1.0]},
        {"celeriac:float": "x"},
        {"celeriac:float": [1.0], "b": 1},
        {"celeriac:float": ["x"] * 9},
    ],
)
def test_what_only_looks_like_a_marked_number_is_left_alone(value: Any) -> None:
    assert loads(dumps(value)) == value


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})
    with pytest.raises(json.JSONDecodeError):
        loads("{")
