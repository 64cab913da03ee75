"""What arrives at a port, with cwltool's own function as the judge."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from cwltool.errors import WorkflowException
from cwltool.workflow_job import WorkflowStateItem, object_from_state
from hypothesis import given
from hypothesis import strategies as st

from celeriac.errors import DocumentError
from celeriac.graph.merge import gather, pick
from celeriac.graph.model import MISSING, Port

SOURCES = ("a", "b", "step/c", "step/d")
LEAVES = st.none() | st.integers(0, 9) | st.sampled_from(["x", "y"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
PORTS = st.builds(
    Port,
    name=st.just("p"),
    sources=st.none() | st.lists(st.sampled_from(SOURCES), min_size=1, max_size=4).map(tuple),
    link_merge=st.sampled_from([None, "merge_nested", "merge_flattened"]),
    pick_value=st.sampled_from([None, "first_non_null", "the_only_non_null", "all_non_null"]),
    default=st.just(MISSING) | VALUES,
    value_from=st.sampled_from([None, "$(self)"]),
)


def cwltool_gathers(port: Port, values: dict[str, Any], multiple_input: bool) -> Any:
    """Return what cwltool makes of the same port."""
    found: dict[str, Any] = {"id": f"#main/{port.name}", "type": "Any"}
    optional = {
        "source": list(port.sources) if port.sources is not None else None,
        "linkMerge": port.link_merge,
        "pickValue": port.pick_value,
        "valueFrom": port.value_from,
    }
    found.update({key: value for key, value in optional.items() if value is not None})
    if port.default is not MISSING:
        found["default"] = port.default
    state: Any = {name: WorkflowStateItem({"type": "Any"}, value, "success") for name, value in values.items()}
    arrived = object_from_state(state, [found], True, multiple_input, "source")
    assert arrived is not None
    return arrived[port.name]


@given(port=PORTS, values=st.fixed_dictionaries(dict.fromkeys(SOURCES, VALUES)), multiple_input=st.booleans())
def test_as_cwltool_does(port: Port, values: dict[str, Any], multiple_input: bool) -> None:
    before = copy.deepcopy(values)
    try:
        expected = cwltool_gathers(port, values, multiple_input)
    except WorkflowException:
        with pytest.raises(DocumentError, match="'p'"):
            gather([port], values, multiple_input=multiple_input)
    else:
        assert gather([port], values, multiple_input=multiple_input) == {"p": expected}
    assert values == before


@given(st.permutations(SOURCES), st.fixed_dictionaries(dict.fromkeys(SOURCES, VALUES)))
def test_nested_keeps_the_order_of_the_document(sources: list[str], values: dict[str, Any]) -> None:
    port = Port("p", tuple(sources))
    assert gather([port], values, multiple_input=True) == {"p": [values[source] for source in sources]}


def test_a_link_merge_that_cwl_does_not_know() -> None:
    with pytest.raises(DocumentError, match="'merge_sideways': merge_nested or merge_flattened was expected"):
        gather([Port("p", ("a",), link_merge="merge_sideways")], {"a": 1}, multiple_input=True)


def test_what_a_failed_workflow_has_not_is_null() -> None:
    ports = [Port("one", ("a",)), Port("gone", ("step/c",)), Port("some", ("a", "step/c"))]
    found = gather(ports, {"a": 1}, multiple_input=True, incomplete=True)
    assert found == {"one": 1, "gone": None, "some": [1]}


@given(st.lists(LEAVES))
def test_pick_says_why_it_can_not(values: list[Any]) -> None:
    present = [value for value in values if value is not None]
    assert pick("p", "all_non_null", values) == present
    for how in ("first_non_null", "the_only_non_null"):
        if not present:
            with pytest.raises(DocumentError, match=f"all sources of 'p' are null, but its pickValue is {how}"):
                pick("p", how, values)
        elif how == "the_only_non_null" and len(present) > 1:
            with pytest.raises(DocumentError, match=f"{len(present)} sources of 'p' are not null"):
                pick("p", how, values)
        else:
            assert pick("p", how, values) == present[0]
