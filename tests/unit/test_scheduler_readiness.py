"""Whatever order steps end in: each starts exactly once, as soon as it can, or is blocked by a failure."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from celeriac.graph.model import Kind, Process, Step
from celeriac.scheduler.readiness import DONE, blocked, concerned, ready
from celeriac.states import NodeState

TOOL = Process(Kind.TOOL, "tool", {})
ENDS = st.sampled_from([NodeState.SUCCESS, NodeState.SUCCESS, NodeState.SKIPPED, NodeState.FAILED])


@st.composite
def workflows(draw: st.DrawFn) -> dict[str, Step]:
    """Draw steps without cycles, in any order of the document."""
    names = [f"s{number}" for number in range(draw(st.integers(0, 9)))]
    needs = {
        name: draw(st.frozensets(st.sampled_from(names[:number]), max_size=3)) if number else frozenset()
        for number, name in enumerate(names)
    }
    return {name: Step(name, (), (), TOOL, requires=needs[name]) for name in draw(st.permutations(names))}


def closure(steps: Mapping[str, Step], gone: set[str]) -> set[str]:
    """Return all that needs one of ``gone``, the slow and sure way."""
    return {name for name in steps if name not in gone and _ancestors(steps, name) & gone}


def _ancestors(steps: Mapping[str, Step], name: str) -> set[str]:
    return set().union(*({needed} | _ancestors(steps, needed) for needed in steps[name].requires))


@given(workflows(), st.data())
def test_every_step_starts_once_or_is_blocked(steps: dict[str, Step], data: st.DataObject) -> None:
    states: dict[str, NodeState] = {}
    started: list[str] = []

    def start(names: list[str]) -> None:
        started.extend(names)
        states.update(dict.fromkeys(names, NodeState.READY))

    start(ready(steps, steps, states))
    while running := sorted(name for name in started if states[name] is NodeState.READY):
        ended = data.draw(st.lists(st.sampled_from(running), min_size=1, unique=True), label="end together")
        states.update({name: data.draw(ENDS, label=name) for name in ended})
        start(ready(steps, concerned(steps, [name for name in ended if states[name] in DONE]), states))
        for name in steps:  # as soon as it can, and not before
            could = all(states.get(needed) in DONE for needed in steps[name].requires)
            assert could == (name in states)

    assert len(started) == len(set(started))
    failed = {name for name, state in states.items() if state is NodeState.FAILED}
    assert set(steps) - set(started) == closure(steps, failed)


@given(workflows(), st.data())
def test_blocked_is_all_that_needs_a_failed_step(steps: dict[str, Step], data: st.DataObject) -> None:
    failed = data.draw(st.sets(st.sampled_from(sorted(steps)))) if steps else set()
    found = blocked(steps, failed)
    assert set(found) == closure(steps, failed)
    assert found == [name for name in steps if name in set(found)], "in the document's order"


@given(workflows())
def test_nothing_is_ready_twice(steps: dict[str, Step]) -> None:
    states = dict.fromkeys(steps, NodeState.SUCCESS)
    assert ready(steps, steps, states) == []
    at_once = {name for name, step in steps.items() if not step.requires}
    assert set(ready(steps, steps, {})) == at_once
