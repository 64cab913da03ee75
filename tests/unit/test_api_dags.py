"""What clients of CWL-Airflow send and are told: names, documents, folders, states."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.access import Access
from celeriac.api.dags import job, names, states
from celeriac.errors import AccessError, InputError
from celeriac.job.options import RunOptions
from celeriac.states import NodeState, RunState


def packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


@pytest.mark.parametrize(("given", "expected"), [("align", "align"), ("a.b-c_1", "a.b-c_1"), ("x.cwl", "x")])
def test_a_workflow_has_a_name_that_names_a_file(given: str, expected: str) -> None:
    assert names.workflow(given) == expected


@pytest.mark.parametrize("given", ["", ".", "..", ".x", "a/b", "a\0", "a b", "ä", "-x", "x" * 201, None, 3, ["a"]])
def test_other_names_are_refused(given: Any) -> None:
    with pytest.raises(InputError):
        names.workflow(given)


@pytest.mark.parametrize("given", ["", "a\nb", "a\0", "x" * 251, None, 3])
def test_a_run_has_a_name(given: Any) -> None:
    with pytest.raises(InputError):
        names.run(given)
    assert names.run("manual__2020-01-01T00:00:00+00:00") == "manual__2020-01-01T00:00:00+00:00"


@given(st.tuples(st.text(), st.text(), st.integers(0, 9)), st.tuples(st.text(), st.text(), st.integers(0, 9)))
def test_ids_differ_as_names_do(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    def plain(name: tuple[str, str, int]) -> bool:
        try:
            "".join(name[:2]).encode()
        except UnicodeEncodeError:
            return False
        return "\0" not in name[0] + name[1]

    if plain(one) and plain(other):
        assert (names.identifier(*one) == names.identifier(*other)) == (one == other)


def test_a_document_comes_packed() -> None:
    assert names.content(packed(b"class: Workflow")) == "class: Workflow"


@pytest.mark.parametrize(
    "given",
    [
        None, 3, "***", "\x93", "", base64.b64encode(b"plain").decode(), packed(b"\xff"),
        packed(b"x" * (names.LONGEST + 1)),
    ],  # fmt: skip
)
def test_other_content_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        names.content(given)


@pytest.mark.parametrize(
    ("conf", "expected"), [(None, {}), ("", {}), ('{"job": {"a": 1}}', {"job": {"a": 1}}), ({"job": {}}, {"job": {}})]
)
def test_conf_is_a_text_with_json(conf: Any, expected: dict[str, Any]) -> None:
    assert job.read(conf) == expected


@pytest.mark.parametrize("conf", ["{", "[]", "3", 3, '{"a": NaN}', "[" * 9999, '{"a": "\\u0000"}'])
def test_other_conf_is_refused(conf: Any) -> None:
    with pytest.raises(InputError):
        job.read(conf)


def test_folders_of_the_job_are_within_the_roots(tmp_path: Path) -> None:
    access = Access(roots=(str(tmp_path),))

    def made(**folders: Any) -> RunOptions:
        values, options = job.job({"job": {"x": 1, **folders}}, access, RunOptions(), tmp_path)
        assert values == {"x": 1}
        return options

    place = str(tmp_path / "out")
    assert made(output_folder=place).outdir == made(outputs_folder=place).outdir == place
    assert made(tmp_folder=place).scratch == place
    assert made(outputs_folder=None, tmp_folder=None) == RunOptions()
    (tmp_path / "link").symlink_to("/")
    for wrong in ("/etc", f"{tmp_path}/../x", f"{tmp_path}/link/etc"):
        with pytest.raises(AccessError):
            made(outputs_folder=wrong)
    for wrong in ("out", 3, ["/etc"]):
        with pytest.raises(InputError):
            made(tmp_folder=wrong)


@pytest.mark.parametrize("conf", [{"job": []}, {"job": "x"}, {"job": {"a": {"$import": "x"}}}])
def test_a_job_that_is_none(conf: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        job.job(conf, Access(), RunOptions(), Path("/"))


def test_every_state_has_a_word() -> None:
    for state in RunState:
        assert state in states.of_words(states.run_state(state))
    assert states.of_words("queued") == []
    for node in NodeState:
        assert states.step_state([node]) in ("queued", "running", "success", "failed", "skipped", "upstream_failed")


@pytest.mark.parametrize(
    ("created", "target", "ended", "now", "expected"),
    [
        (0.0, None, None, 999.0, "success"),
        (0.0, "r", None, 5.0, "running"),
        (0.0, "r", 5.0, 999.0, "success"),
        (9.0, "r", 5.0, 999.0, "success"),  # it had ended before
        (0.0, "r", None, 121.0, "failed"),
        (0.0, "r", 500.0, 999.0, "failed"),
    ],
)
def test_an_order_to_stop_has_a_state(
    created: float, target: str | None, ended: float | None, now: float, expected: str
) -> None:
    assert states.stop_state(created, target, ended, now) == expected
