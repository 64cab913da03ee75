"""Requests, states, logs and pages as WES 1.1 has them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import celeriac
from celeriac.api import paging
from celeriac.api.bounds import is_own
from celeriac.api.errors import without
from celeriac.api.wes import logs, models
from celeriac.api.wes.info import counts
from celeriac.api.wes.options import PARAMETERS, described, options
from celeriac.api.wes.request import DEEPEST, RunRequest, from_form, from_json
from celeriac.api.wes.states import STATES, state
from celeriac.errors import CeleriacError, InputError, WorkerLost, from_dict
from celeriac.job.options import RunOptions
from celeriac.states import RunState

FORM = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": "wf.cwl"}


def form(**others: str) -> RunRequest:
    return from_form({**FORM, **others})


def test_a_form_and_json_ask_for_the_same() -> None:
    texts = {"workflow_params": '{"a": 1}', "tags": '{"t": "x"}', "workflow_engine_parameters": '{"reuse": false}'}
    asked = form(**texts, workflow_engine="celeriac", workflow_engine_version=celeriac.__version__)
    objects = {name: json.loads(text) for name, text in texts.items()}
    engine = {"workflow_engine": "celeriac", "workflow_engine_version": celeriac.__version__}
    assert asked == from_json({**FORM, **objects, **engine})
    assert asked.params == {"a": 1} and asked.tags == {"t": "x"} and asked.engine_parameters == {"reuse": "false"}
    shown = asked.to_json({"a": "(secret)"})
    assert shown["workflow_params"] == {"a": "(secret)"} and shown["workflow_type"] == "CWL"


def test_what_is_empty_is_not_there() -> None:
    assert form(workflow_params="", tags="", workflow_engine="") == form()
    assert "workflow_engine" not in form().to_json({})
    assert from_json({**FORM, "tags": None, "more": 1}) == form()


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"workflow_type": ""}, "workflow_type is missing"),
        ({"workflow_type": "WDL"}, "runs CWL only"),
        ({"workflow_type_version": "v2"}, "one of v1.0, v1.1, v1.2"),
        ({"workflow_url": ""}, "workflow_url is missing"),
        ({"workflow_params": "{"}, "workflow_params is no JSON"),
        ({"workflow_params": "[1]"}, "is no JSON object"),
        ({"workflow_params": '{"a": NaN}'}, "NaN is no number"),
        ({"workflow_params": '{"a": -Infinity}'}, "is no number"),
        ({"workflow_params": '{"a": [1e999]}'}, "a number that is too large"),
        ({"workflow_params": "[" * 100_000}, "too deep"),
        ({"workflow_params": '{"a": ' + "[" * DEEPEST + "]" * DEEPEST + "}"}, "levels deep"),
        ({"workflow_params": '{"a": ' + "9" * 5000 + "}"}, "is no JSON"),
        ({"workflow_params": '{"a": "\\u0000"}'}, "the character NUL"),
        ({"workflow_params": '{"\\ud800": 1}'}, "no Unicode"),
        ({"tags": '{"a": ["b"]}'}, "a text was expected"),
        ({"tags": json.dumps({str(n): "" for n in range(101)})}, "100 at most"),
        ({"tags": json.dumps({"a": "x" * 1001})}, "longer than 1000"),
        ({"workflow_engine": "cromwell"}, "only 'celeriac'"),
        ({"workflow_engine_version": "1"}, "needs a workflow_engine"),
        ({"workflow_engine": "celeriac", "workflow_engine_version": "9"}, "there is only"),
        ({"workflow_engine_parameters": '{"a": {}}'}, "a text was expected"),
        ({"workflow_uri": "x"}, "there is no field 'workflow_uri'"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(others: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        form(**others)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))  # fmt: skip  # noqa: E501
def test_any_json_is_a_request_or_wrong(value: Any) -> None:
    for body in (value, {**FORM, "workflow_params": value}, {**FORM, "tags": value}, {**FORM, "workflow_url": value}):
        try:
            from_json(body)
        except InputError:
            pass


# --- engine parameters ----------------------------------------------------------------------------


def test_engine_parameters_are_options() -> None:
    usual = RunOptions(eval_timeout=30, basedir="/b")
    made = options({"on_error": "continue", "reuse": "no", "eval_timeout": "2.5"}, usual)
    assert (made.on_error, made.reuse, made.eval_timeout, made.basedir) == ("continue", False, 2.5, "/b")
    assert options({}, usual) == usual
    assert {entry["name"] for entry in described(usual)} == set(PARAMETERS)
    assert options({entry["name"]: entry["default_value"] for entry in described(usual)}, usual) == usual


@pytest.mark.parametrize(
    "given",
    [
        {"outdir": "/etc"}, {"cachedir": "/"}, {"scratch": "/"}, {"log_dir": "/"}, {"access": "{}"}, {"basedir": "/"},
        {"preserve_entire_environment": "true"}, {"use_container": "false"}, {"custom_network": "host"},
        {"reuse": "maybe"}, {"on_error": "go"}, {"eval_timeout": "61"}, {"eval_timeout": "nan"}, {"eval_timeout": "0"},
        {"eval_timeout": "x"},
    ],
)  # fmt: skip
def test_other_parameters_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(InputError):
        options(given, RunOptions())


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "others", "expected"),
    [
        ("PENDING", {}, "QUEUED"),
        ("RUNNING", {"begun": False}, "INITIALIZING"),
        ("RUNNING", {}, "RUNNING"),
        ("RUNNING", {"interrupted": True}, "PAUSED"),
        ("PENDING", {"interrupted": True}, "PAUSED"),
        ("SUCCESS", {}, "COMPLETE"),
        ("FAILED", {}, "EXECUTOR_ERROR"),
        ("FAILED", {"error": {"type": "StepFailed"}}, "EXECUTOR_ERROR"),
        ("FAILED", {"error": {"type": "OutOfMemory"}}, "EXECUTOR_ERROR"),
        ("FAILED", {"error": {"type": "DiskFull"}}, "SYSTEM_ERROR"),
        ("FAILED", {"error": {"type": "ImageNotFound"}}, "SYSTEM_ERROR"),
        ("FAILED", {"error": {"type": "KilledFromOutside"}}, "PREEMPTED"),
        ("FAILED", {"error": WorkerLost("x").to_dict()}, "PREEMPTED"),
        ("CANCELING", {}, "CANCELING"),
        ("CANCELED", {"interrupted": True}, "CANCELED"),
        ("ON_HOLIDAY", {}, "UNKNOWN"),
    ],
)
def test_every_state_has_a_name(found: str, others: dict[str, Any], expected: str) -> None:
    assert state(found, **others) == expected


def test_the_names_are_those_of_wes() -> None:
    assert set(models.State.__args__) == set(STATES)  # type: ignore[attr-defined]
    for known in RunState:
        assert state(known) in STATES


def test_an_error_knows_its_kind_again() -> None:
    assert type(from_dict(WorkerLost("x").to_dict())) is WorkerLost


def test_runs_are_counted_in_the_words_of_wes() -> None:
    rows = [
        SimpleNamespace(state="SUCCESS", kind=None, number=3),
        SimpleNamespace(state="FAILED", kind="StepFailed", number=2),
        SimpleNamespace(state="FAILED", kind="InputError", number=1),
        SimpleNamespace(state="FAILED", kind="DiskFull", number=1),
    ]
    assert counts(rows) == {"COMPLETE": 3, "EXECUTOR_ERROR": 3, "SYSTEM_ERROR": 1}


# --- logs and outputs -----------------------------------------------------------------------------


def words(error: Any) -> str:
    return str(error["message"])


def test_a_runs_log() -> None:
    row = SimpleNamespace(
        id="r1", name="wf.cwl", started=0.0, ended=1.5, state="FAILED", error=CeleriacError("no").to_dict()
    )
    found = logs.run_log(row, "http://h", words)
    assert found["start_time"] == "1970-01-01T00:00:00Z" and found["end_time"] == "1970-01-01T00:00:01Z"
    assert found["exit_code"] == 1 and found["system_logs"] == ["no"]
    assert found["stderr"] == "http://h/ga4gh/wes/v1/runs/r1/logs/stderr"
    assert "exit_code" not in logs.run_log(SimpleNamespace(**{**vars(row), "state": "RUNNING"}), "", words)


def test_a_tasks_log() -> None:
    row = SimpleNamespace(
        id="t1", path="align[3]", number=2, state="SETTLED", outcome="permanentFail", reused=None, host="h1",
        exit_code=7, error=CeleriacError("no", command=["a", "b"]).to_dict(), started=0.0, ended=None,
        directory="/w/t1", command=None,
    )  # fmt: skip
    found = logs.task_log(row, "r1", "wf.cwl", "", words)
    assert found["name"] == "align[3] (attempt 2)" and found["cmd"] == ["a", "b"] and found["exit_code"] == 7
    assert found["stdout"] == "/ga4gh/wes/v1/runs/r1/tasks/t1/logs/stdout"
    own = SimpleNamespace(**{**vars(row), "command": ["cat", "--in=/w/t1/in/a", "/w/t10/b"]})
    assert logs.task_log(own, "r1", "wf.cwl", "", words)["cmd"] == ["cat", "--in=in/a", "/w/t10/b"]
    reused = logs.task_log(SimpleNamespace(**{**vars(row), "reused": "t0", "path": ""}), "r1", "wf.cwl", "", words)
    assert "stdout" not in reused and reused["name"] == "wf.cwl (attempt 2)"


def test_outputs_have_addresses_and_no_paths() -> None:
    value = {
        "a": {"class": "File", "location": "file:///out/x%20y/a.txt", "path": "/out/x y/a.txt", "size": 1},
        "b": [
            {
                "class": "Directory",
                "location": "file:///out/d",
                "listing": [{"class": "File", "location": "file:///out/d/e"}],
            }
        ],
        "c": {"class": "File", "location": "file:///outer/a", "path": "/outer/a"},
        "d": None,
        "e": {"class": "File", "location": "http://h/x"},
    }
    found = logs.outputs(value, "/out", "U")
    assert found["a"] == {"class": "File", "location": "U/x%20y/a.txt", "size": 1}
    assert found["b"][0]["location"] == "U/d" and found["b"][0]["listing"][0]["location"] == "U/d/e"
    assert found["c"] == {"class": "File"} and found["d"] is None and found["e"]["location"] == "http://h/x"


def test_a_request_of_another_kind_is_shown_as_it_would_have_been() -> None:
    row = SimpleNamespace(request=None, workflow=None, name="wf.cwl")
    assert logs.request(row, {"a": 1})["workflow_params"] == {"a": 1}
    row = SimpleNamespace(request={"run_id": "x"}, workflow="dag", name="wf.cwl")
    assert logs.request(row, {})["workflow_url"] == "dag"


# --- pages ----------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(alphabet="abcdef0123456789-", max_size=64))
def test_a_page_token_is_a_place(created: float, name: str) -> None:
    assert paging.place(paging.token((created, name))) == (created, name)


@given(st.text(max_size=100))
def test_other_tokens_are_wrong(text: str) -> None:
    try:
        found = paging.place(text)
    except InputError:
        return
    assert found is None or isinstance(found[0], float)


@pytest.mark.parametrize("value", [[], [1, "a"], [1.0, 2], ["a", "b"], {"a": 1}, [1.0, "a\0"], [1.0, "\ud800"], 3])
def test_no_other_json_is_a_place(value: Any) -> None:
    with pytest.raises(InputError):
        paging.place(base64.urlsafe_b64encode(json.dumps(value).encode()).decode())


@pytest.mark.parametrize("text", ["MTIz", "WyJhIiwgMV0", "W05hTiwgImEiXQ", "W0luZmluaXR5LCAiYSJd", "x" * 500, "=", "é"])
def test_a_made_up_token_is_wrong(text: str) -> None:
    with pytest.raises(InputError, match="page_token"):
        paging.place(text)


def test_the_size_of_a_page() -> None:
    assert (paging.size(None), paging.size(1), paging.size(10**18)) == (paging.USUAL, 1, paging.MOST)
    with pytest.raises(InputError):
        paging.size(0)


def test_a_page_has_one_less_than_was_asked_for() -> None:
    rows = [SimpleNamespace(created=float(n), id=str(n)) for n in range(4)]
    assert logs.page(rows, 3) == (rows[:3], (2.0, "2"))
    assert logs.page(rows, 4) == (rows, None)


# --- messages and origins -------------------------------------------------------------------------


def test_messages_name_no_directories() -> None:
    text = "file:///srv/my%20home/runs/1/up/wf.cwl:3: /srv/my home/runs/1/up is not /srv/my home/cache"
    places = {"/srv/my home": "the home", "/srv/my home/runs/1/up": "the attachments"}
    assert without(text, places) == "wf.cwl:3: (the attachments) is not cache"


def test_a_directory_whose_name_is_part_of_what_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "workflows"
    text = f"not {folder}-old or my/workflows: allowed are {folder}/a.cwl and {folder}."
    expected = f"not {folder}-old or my/workflows: allowed are a.cwl and (the workflows)."
    assert without(text, {str(folder): "the workflows"}) == expected


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:8080", None, True),
        ("localhost", None, True),
        ("[::1]:8080", None, True),
        ("localhost:8080", "http://localhost:8080", True),
        ("localhost:8080", "http://localhost:9090", False),
        ("localhost:8080", "http://evil.example", False),
        ("localhost:8080", "null", False),
        ("evil.example", None, False),
        ("evil.example:8080", "http://evil.example:8080", False),
        ("localhost.evil.example", None, False),
        ("[::1", None, False),
        (None, None, False),
    ],
)
def test_without_authentication_requests_are_this_hosts_own(
    host: str | None, origin: str | None, expected: bool
) -> None:
    assert is_own(host, origin) is expected
