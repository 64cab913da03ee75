"""Which notices follow from which changes, how far a run is, and what follows a try. Pure."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.graph.model import Kind, Process, Step
from celeriac.notify.changes import About, Facts, RunChange, StepChange, Task, dag_id, ended_as, is_told
from celeriac.notify.follow import follow
from celeriac.notify.progress import Part, done
from celeriac.notify.retry import LATER, Answer, Next, after, of_status, pause
from celeriac.notify.retry import Kind as Result
from celeriac.notify.weblog import events
from celeriac.settings import Settings
from celeriac.states import NODE_ENDED, NodeState, RunState

ABOUT = About("0123456789ab", "align.cwl", "align", "manual__1")
OLD_STATES = {"running", "success", "failed", "up_for_retry", "upstream_failed"}

steps = st.builds(StepChange, st.sampled_from(["a", "b", "sub/c", ""]), st.sampled_from(Task))
run_states = st.sampled_from([RunState.RUNNING, RunState.SUCCESS, RunState.FAILED, RunState.CANCELED])
changes = st.lists(steps | st.builds(RunChange, run_states), max_size=8)


# --- the payloads of CWL-Airflow -------------------------------------------------------------------


def test_a_step_that_runs_has_a_status() -> None:
    (notice,) = follow(ABOUT, [StepChange("sub/sort", Task.RUNNING)], Facts())
    assert notice.route == "status"
    expected = {"state": "running", "dag_id": "align", "run_id": "manual__1", "task_id": "sub/sort"}
    assert notice.payload == expected


def test_a_step_that_succeeded_has_progress_too() -> None:
    status, progress = follow(ABOUT, [StepChange("sort", Task.SUCCESS)], Facts(progress=40))
    assert (status.route, status.payload["state"]) == ("status", "success")
    assert progress.route == "progress"
    assert progress.payload == {
        "state": "running", "dag_id": "align", "run_id": "manual__1", "progress": 40, "error": "", "statistics": {},
        "logs": {"failed_steps": {}, "previous_steps": {}},
    }  # fmt: skip


def test_a_run_that_succeeded_has_all_of_its_progress_and_then_its_results() -> None:
    facts = Facts(progress=99, results={"out": 3}, statistics={"version": "1"})
    progress, results = follow(ABOUT, [RunChange(RunState.SUCCESS)], facts)
    assert (progress.payload["state"], progress.payload["progress"]) == ("success", 100)
    assert progress.payload["statistics"] == {"version": "1"}
    assert results.route == "results"
    assert results.payload == {"dag_id": "align", "run_id": "manual__1", "results": {"out": 3}}


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELED])
def test_a_run_that_failed_says_why_and_has_no_results(state: RunState) -> None:
    facts = Facts(progress=100, error="exit code 3", logs={"failed_steps": {"a": "no"}, "previous_steps": {}})
    (progress,) = follow(ABOUT, [RunChange(state)], facts)
    assert (progress.payload["state"], progress.payload["error"]) == ("failed", "exit code 3")
    assert progress.payload["progress"] < 100
    assert progress.payload["logs"]["failed_steps"] == {"a": "no"}


def test_a_run_of_one_tool_has_its_workflows_name_as_its_step() -> None:
    (status,) = follow(ABOUT, [StepChange("", Task.RUNNING)], Facts())
    assert status.payload["task_id"] == "align"


@given(changes, st.integers(0, 100))
def test_listeners_get_states_that_they_know(found: list[Any], progress: int) -> None:
    made = follow(ABOUT, found, Facts(progress=progress, error="e"))
    for notice in made:
        assert notice.route in ("progress", "status", "results")
        assert json.loads(json.dumps(notice.payload)) == notice.payload
        if notice.route != "results":
            assert notice.payload["state"] in OLD_STATES
    ends = [c for c in found if isinstance(c, RunChange) and c.state is not RunState.RUNNING]
    told = [c for c in found if isinstance(c, StepChange) and c.state is not Task.SUBMITTED]
    assert sum(n.route == "status" for n in made) == len(told)
    assert sum(n.route == "results" for n in made) == sum(c.state is RunState.SUCCESS for c in ends)
    success = any(c.state is Task.SUCCESS for c in told)
    assert sum(n.route == "progress" for n in made) == (len(ends) or int(success))


@pytest.mark.parametrize(
    ("workflow", "name", "expected"),
    [
        (None, "align.cwl", "align"),
        (None, "align.v2.cwl", "align.v2"),
        (None, "align.v2", "align.v2"),
        (None, ".cwl", ".cwl"),
        (None, "packed.JSON", "packed"),
        ("asked-for", "align.cwl", "asked-for"),
    ],
)
def test_a_workflow_is_called_as_it_was_asked_for(workflow: str | None, name: str, expected: str) -> None:
    assert dag_id(workflow, name) == expected


@pytest.mark.parametrize("state", sorted(NODE_ENDED))
def test_every_end_of_a_step_has_a_state_of_theirs(state: NodeState) -> None:
    assert str(ended_as(state)) in OLD_STATES - {"running", "up_for_retry"}


def test_items_of_a_scatter_are_not_told_of() -> None:
    assert is_told("align") and is_told("sub/sort") and is_told("")
    assert not is_told("align[3]") and not is_told("align[3]/sort")


# --- Nextflow's events -----------------------------------------------------------------------------


@given(changes)
def test_events_are_nextflows(found: list[Any]) -> None:
    for notice in events(ABOUT, found, Facts(time=1.5)):
        assert notice.route == "weblog"
        own = {"runName": "manual__1", "runId": "0123456789ab", "utcTime": "1970-01-01T00:00:01Z"}
        assert own.items() <= notice.payload.items()
        has = "trace" if notice.payload["event"].startswith("process_") else "metadata"
        assert has in notice.payload


def test_the_events_of_a_run() -> None:
    one = [RunChange(RunState.RUNNING), StepChange("a", Task.SUBMITTED), StepChange("a", Task.RUNNING)]
    two = [StepChange("a", Task.FAILED), RunChange(RunState.FAILED)]
    made = events(ABOUT, [*one, *two], Facts(error="no", traces={"a": {"exit": 3}}))
    expected = ["started", "process_submitted", "process_started", "process_completed", "error", "completed"]
    assert [notice.payload["event"] for notice in made] == expected
    assert made[3].payload["trace"]["status"] == "FAILED" and made[3].payload["trace"]["exit"] == 3
    assert made[5].payload["metadata"]["workflow"]["success"] is False


# --- progress --------------------------------------------------------------------------------------


def a_step(name: str, process: Process, **fields: Any) -> Step:
    return Step(name, (), (), process, **fields)


TOOL = Process(Kind.TOOL, "t")
INNER = Process(Kind.WORKFLOW, "i", steps={"x": a_step("x", TOOL), "y": a_step("y", TOOL)})
GRAPH = Process(
    Kind.WORKFLOW,
    "w",
    steps={"a": a_step("a", TOOL), "s": a_step("s", TOOL, scatter=("p",)), "sub": a_step("sub", INNER)},
)


def test_how_far_a_run_is() -> None:
    assert done(GRAPH, {}) == 0
    assert done(GRAPH, {"a": Part("job", NodeState.SUCCESS)}) == pytest.approx(1 / 3)
    half = {"s": Part("scatter", NodeState.RUNNING, remaining=5, width=10)}
    assert done(GRAPH, half) == pytest.approx(1 / 6)
    inner = {"sub": Part("workflow", NodeState.RUNNING), "sub/x": Part("job", NodeState.SKIPPED)}
    assert done(GRAPH, inner) == pytest.approx(1 / 6)
    assert done(GRAPH, {"": Part("workflow", NodeState.SUCCESS)}) == 1
    assert done(TOOL, {"": Part("job", NodeState.QUEUED)}) == 0
    assert done(TOOL, {"": Part("job", NodeState.SUCCESS)}) == 1


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Part]]:
    """Return what becomes of the steps of GRAPH in an order that a run may have."""
    width = draw(st.integers(0, 5))
    bad = draw(st.sampled_from([NodeState.FAILED, NodeState.CANCELED, NodeState.SUCCESS]))
    lines = [
        [("a", Part("job", NodeState.QUEUED)), ("a", Part("job", draw(st.sampled_from(sorted(NODE_ENDED)))))],
        [("s", Part("scatter", NodeState.READY))]
        + [("s", Part("scatter", NodeState.RUNNING, remaining=left, width=width)) for left in range(width, -1, -1)]
        + [("s", Part("scatter", bad, remaining=0, width=width))],
        [("sub", Part("workflow", NodeState.RUNNING)), ("sub/x", Part("job", NodeState.SUCCESS))]
        + [("sub/y", Part("job", bad)), ("sub", Part("workflow", bad))],
    ]
    history = []
    while any(lines):
        line = draw(st.sampled_from([line for line in lines if line]))
        history.append(line.pop(0))
    return history


@given(histories())
def test_progress_never_goes_down(history: list[tuple[str, Part]]) -> None:
    parts: dict[str, Part] = {}
    last = 0.0
    for path, part in history:
        parts[path] = part
        now = done(GRAPH, parts)
        assert last - 1e-9 <= now <= 1 + 1e-9
        last = now


# --- what follows a try ----------------------------------------------------------------------------

SETTINGS = Settings(notify_tries=7, notify_backoff=1.0, notify_longest=60.0)


@pytest.mark.parametrize(
    ("answer", "tries", "expected"),
    [
        (of_status(200), 1, Next.FORGET),
        (of_status(204), 99, Next.FORGET),
        (of_status(302), 1, Next.PUT_OFF),
        (of_status(302), 3, Next.BURY),
        (of_status(404), 2, Next.PUT_OFF),
        (of_status(404), 3, Next.BURY),
        (of_status(429), 6, Next.PUT_OFF),
        (of_status(503), 6, Next.PUT_OFF),
        (of_status(503), 7, Next.BURY),
        (Answer(Result.AWAY), 6, Next.PUT_OFF_ALL),
        (Answer(Result.AWAY), 7, Next.BURY_LINE),
        (Answer(Result.UNSENT), 10_000, Next.PUT_OFF),
        (Answer(Result.TOO_LARGE), 1, Next.BURY),
    ],
)
def test_what_follows(answer: Answer, tries: int, expected: Next) -> None:
    assert after(answer, tries, SETTINGS) is expected


@given(st.integers(100, 599))
def test_every_status_means_something(code: int) -> None:
    kind = of_status(code).kind
    assert (kind is Result.DELIVERED) == (200 <= code < 300)
    assert (kind is Result.REFUSED) == (300 <= code < 500 and code not in LATER)


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 10_000))
def test_pauses_grow_to_their_limit(tries: int, chance: float, asked: float) -> None:
    found = pause(Answer(Result.FAILED, wait=asked), tries, SETTINGS, chance)
    assert 0.75 <= found <= 60.0
    later = pause(Answer(Result.FAILED, wait=asked), tries + 2, SETTINGS, chance)
    assert later >= found
    assert found >= min(asked, 60.0)


@given(st.text(string.printable, max_size=20), st.sampled_from(Task))
def test_whatever_a_step_is_called(name: str, state: Task) -> None:
    for notice in follow(ABOUT, [StepChange(name, state)], Facts()):
        if notice.route == "status":
            assert notice.payload["task_id"] == (name or "align")
