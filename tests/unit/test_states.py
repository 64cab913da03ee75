"""Every legal and every illegal move, and the page that draws them."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from celeriac import states
from celeriac.errors import UserError
from celeriac.states import AttemptState, IllegalMove, NodeState, RunState, move

PAGE = Path(__file__).parents[2] / "docs" / "states.md"
TABLES: dict[type[StrEnum], Any] = {
    RunState: states.RUN_MOVES,
    NodeState: states.NODE_MOVES,
    AttemptState: states.ATTEMPT_MOVES,
}
FIRST: dict[type[StrEnum], set[str]] = {
    RunState: {"PENDING"},
    NodeState: {"PENDING", "READY", "UPSTREAM_FAILED"},
    AttemptState: {"QUEUED"},
}
ENDED: dict[type[StrEnum], Any] = {
    RunState: states.RUN_ENDED,
    NodeState: states.NODE_ENDED,
    AttemptState: states.ATTEMPT_ENDED,
}
KINDS = pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
PAIRS = [(kind, old, new) for kind in TABLES for old in kind for new in kind]


@pytest.mark.parametrize(("kind", "old", "new"), PAIRS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_move_is_in_the_table_or_refused(kind: type[StrEnum], old: Any, new: Any) -> None:
    if new in TABLES[kind][old]:
        assert move(TABLES[kind], old, new) is new
    else:
        with pytest.raises(IllegalMove, match=f"{kind.__name__}: {old} can't become {new}") as caught:
            move(TABLES[kind], old, new)
        assert not isinstance(caught.value, UserError)


@KINDS
def test_every_state_has_its_row_and_none_leads_to_itself(kind: type[StrEnum]) -> None:
    assert set(TABLES[kind]) == set(kind)
    assert not [state for state in kind if state in TABLES[kind][state]]


@KINDS
def test_every_state_is_reached_and_leads_to_an_end(kind: type[StrEnum]) -> None:
    table = TABLES[kind]
    assert _reached(table, {kind(name) for name in FIRST[kind]}) == set(kind)
    assert all(_reached(table, {state}) & ENDED[kind] for state in kind)


def _reached(table: Any, found: set[Any]) -> set[Any]:
    while more := {new for old in found for new in table[old]} - found:
        found = found | more
    return found


def test_the_ends() -> None:
    assert states.RUN_ENDED == {RunState.SUCCESS, RunState.FAILED, RunState.CANCELED}
    assert states.ATTEMPT_ENDED == {AttemptState.SETTLED, AttemptState.LOST, AttemptState.CANCELED}
    assert states.NODE_ENDED == set(NodeState) - {
        NodeState.PENDING,
        NodeState.READY,
        NodeState.QUEUED,
        NodeState.RUNNING,
    }


@KINDS
def test_the_page_draws_the_table(kind: type[StrEnum]) -> None:
    diagrams = re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(diagrams) == len(TABLES)
    drawn = re.findall(r"^\s+(\S+) --> (\w+|\[\*\])", diagrams[list(TABLES).index(kind)], re.MULTILINE)
    table = TABLES[kind]
    arrows = {(str(old), str(new)) for old in kind for new in table[old]}
    begins = {("[*]", name) for name in FIRST[kind]}
    ends = {(str(state), "[*]") for state in ENDED[kind]}
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == arrows | begins | ends
