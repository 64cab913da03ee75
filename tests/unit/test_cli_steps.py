"""Nodes counted by step and state become the picture that people see."""

from __future__ import annotations

import pytest

from celeriac.cli.look import duration
from celeriac.cli.steps import view
from celeriac.states import NodeState
from tests.unit.test_cli_lines import row


def test_a_scatter_is_one_step() -> None:
    (step,) = view(
        [
            row("", "workflow", "RUNNING", remaining=1),
            row("align", "scatter", "RUNNING"),
            row("align", "job", "SUCCESS", 3, started=1.0, host="a", other_host="b"),
            row("align", "job", "RUNNING", 2, started=4.0),
            row("align", "job", "FAILED", 1, exit_code=9),
            row("align", "job", "QUEUED", 14),
        ]
    ).steps
    assert (step.kind, step.state, step.total, step.done, step.running, step.failed) == (
        "scatter", NodeState.RUNNING, 20, 3, 2, 1,
    )  # fmt: skip
    assert (step.started, step.running_since, step.hosts, step.exit_code) == (1.0, 4.0, 2, 9)
    assert not step.single and step.jobs


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"QUEUED": 2}, "QUEUED"),
        ({"QUEUED": 2, "SUCCESS": 1}, "RUNNING"),
        ({"READY": 1, "QUEUED": 1}, "QUEUED"),
        ({"SUCCESS": 2}, "SUCCESS"),
        ({"SUCCESS": 2, "SKIPPED": 1}, "SUCCESS"),
        ({"SKIPPED": 3}, "SKIPPED"),
        ({"SUCCESS": 2, "CANCELED": 1}, "CANCELED"),
        ({"SUCCESS": 2, "CANCELED": 1, "FAILED": 1}, "FAILED"),
    ],
)
def test_the_state_of_many(states: dict[str, int], expected: str) -> None:
    (step,) = view([row("s", "job", state, number) for state, number in states.items()]).steps
    assert step.state == expected


def test_a_scatter_is_not_over_before_its_own_node_is() -> None:
    rows = [row("s", "scatter", "RUNNING"), row("s", "job", "SUCCESS", 4, ended=3.0)]
    assert view(rows).steps[0].state == "RUNNING"
    rows[0].state = "SUCCESS"
    assert view(rows).steps[0].state == "SUCCESS"


def test_a_scatter_over_nothing_has_no_jobs() -> None:
    seen = view([row("s", "scatter", "SUCCESS", ended=1.0)])
    assert (seen.steps[0].state, seen.steps[0].total, seen.jobs()) == ("SUCCESS", 0, {})


def test_a_tool_alone_is_its_own_step() -> None:
    seen = view([row("", "job", "RUNNING", started=1.0)])
    assert [step.step for step in seen.steps] == [""]
    assert seen.jobs() == {"RUNNING": 1}


def test_steps_that_wait_are_counted() -> None:
    rows = [
        row("", "workflow", "RUNNING", remaining=4),  # a, sub, and two that are not there yet
        row("a", "scatter", "RUNNING"),
        row("a", "job", "RUNNING", 7),
        row("sub", "workflow", "RUNNING", remaining=3),  # x, and two that are not there yet
        row("sub/x", "job", "QUEUED"),
        row("sub/done", "job", "SUCCESS"),
    ]
    assert view(rows).waiting == 4


def test_activations_of_a_subworkflow_are_no_jobs() -> None:
    seen = view([row("sub", "workflow", "RUNNING", 5), row("sub/x", "job", "SUCCESS", 5)])
    assert seen.jobs() == {"SUCCESS": 5}
    assert [step.jobs for step in seen.steps] == [False, True]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ""), (0, "0.0s"), (-1, "0.0s"), (0.44, "0.4s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"),
        (59.6, "1m00s"), (185, "3m05s"), (3599.7, "1h00m"), (7800, "2h10m"), (352800, "4d02h"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected
