"""Whether steps of a workflow can run side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.graph.model import Kind, Process, Step
from celeriac.graph.width import is_wide

TOOL = Process(Kind.TOOL, "tool")


def step(name: str, *needs: str, scatter: tuple[str, ...] = (), process: Process = TOOL) -> Step:
    return Step(name, inputs=(), outputs=(), process=process, scatter=scatter, requires=frozenset(needs))


def flow(*steps: Step) -> Process:
    return Process(Kind.WORKFLOW, "flow", steps={one.name: one for one in steps})


@pytest.mark.parametrize(
    ("process", "wide"),
    [
        (TOOL, False),
        (flow(), False),
        (flow(step("a"), step("b", "a"), step("c", "a", "b")), False),
        (flow(step("b", "a"), step("a")), False),
        (flow(step("a"), step("b")), True),
        (flow(step("a"), step("b", "a"), step("c", "a")), True),
        (flow(step("a", scatter=("x",))), True),
        (flow(step("a", process=flow(step("c"), step("d")))), True),
        (flow(step("a", process=flow(step("c"))), step("b", "a")), False),
        (flow(step("a", "b"), step("b", "a")), False),  # a cycle: none of them ever starts
    ],
)
def test_width(process: Process, wide: bool) -> None:
    assert is_wide(process) is wide


@given(st.lists(st.sets(st.integers(0, 8), max_size=3), max_size=9))
def test_it_is_narrow_exactly_if_all_are_in_one_line(needs: list[set[int]]) -> None:
    steps = [step(f"s{n}", *(f"s{need}" for need in found if need < n)) for n, found in enumerate(needs)]
    in_line = all(f"s{n}" in steps[n + 1].requires for n in range(len(steps) - 1))
    assert is_wide(flow(*steps)) is not in_line
