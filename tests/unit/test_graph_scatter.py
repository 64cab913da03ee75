"""A scatter's items and what is made of their outputs, with cwltool's own functions as the judge."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.workflow_job import dotproduct_scatter, flat_crossproduct_scatter, nested_crossproduct_scatter
from hypothesis import given
from hypothesis import strategies as st

from celeriac.errors import DocumentError, InputError
from celeriac.graph.scatter import collect, expand

METHODS: dict[str, Callable[..., Any]] = {
    "dotproduct": dotproduct_scatter,
    "nested_crossproduct": nested_crossproduct_scatter,
    "flat_crossproduct": flat_crossproduct_scatter,
}
INPUTS = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.none() | st.integers(0, 99), max_size=4), min_size=1, max_size=3
)


class Echo:
    """A step whose output is its own inputs."""

    tool = {"outputs": [{"id": "seen"}]}

    def job(self, inputs: dict[str, Any], callback: Callable[..., None], context: RuntimeContext) -> Iterator[None]:
        callback({"seen": copy.copy(inputs)}, "success")
        yield from ()


def cwltool_scatters(method: str, inputs: dict[str, Any], keys: list[str]) -> Any:
    """Return what cwltool's scatter gives for a step that echoes."""
    given: list[Any] = []
    done = METHODS[method](Echo(), inputs, keys, lambda outputs, status: given.append(outputs), RuntimeContext())
    for _ in done:
        pass
    return given[0]["seen"]


@given(arrays=INPUTS, method=st.sampled_from(sorted(METHODS)), common=st.integers())
def test_as_cwltool_does(arrays: dict[str, list[Any]], method: str, common: int) -> None:
    inputs = {**arrays, "common": common}
    keys = tuple(arrays)
    try:
        expected = cwltool_scatters(method, dict(inputs), list(keys))
    except WorkflowException:
        with pytest.raises(InputError, match="step 's' scatters by dotproduct over inputs of different lengths"):
            expand(keys, method, inputs, "s")
        return
    expansion = expand(keys, method, inputs, "s")
    seen = [{"seen": {**expansion.common, **own}} for own in expansion.items()]
    assert len(seen) == expansion.width
    assert collect(expansion.shape, ["seen"], seen) == {"seen": expected}


@given(st.lists(st.integers()))
def test_one_input_needs_no_method(values: list[int]) -> None:
    expansion = expand(("a",), None, {"a": values, "b": 1}, "s")
    assert (list(expansion.items()), expansion.common) == ([{"a": value} for value in values], {"b": 1})


def test_what_an_item_did_not_give_is_null() -> None:
    assert collect([2], ["x", "y"], [{"x": 1}, {}]) == {"x": [1, None], "y": [None, None]}


@pytest.mark.parametrize(
    ("scatter", "method", "inputs", "error", "said"),
    [
        (("a",), None, {"a": None}, InputError, "over 'a', so an array was expected, but it is null"),
        (("a",), None, {"a": "text"}, InputError, "over 'a', so an array was expected, but it is str"),
        (("a",), None, {}, InputError, "but it is null"),
        (("a", "b"), None, {"a": [], "b": []}, DocumentError, "over 2 inputs, so it must name a scatterMethod"),
        (("a", "b"), "zip", {"a": [], "b": []}, DocumentError, "scatterMethod is 'zip'"),
        (("a", "b"), "dotproduct", {"a": [1], "b": [1, 2]}, InputError, "a has 1, b has 2"),
    ],
)
def test_what_can_not_be_scattered(
    scatter: tuple[str, ...], method: str | None, inputs: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        expand(scatter, method, inputs, "s")
