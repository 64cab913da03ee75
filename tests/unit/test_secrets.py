"""Secret values (cwltool:Secrets): a tool gets them, and nothing that is kept or told has them."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from celeriac.client import run_workflow
from celeriac.engine.cancel import cancel
from celeriac.engine.reopen import reopen
from celeriac.engine.submit import Origin, submit
from celeriac.errors import InputError, NotFoundError, StepFailed
from celeriac.job.secret import Secrets, hide
from celeriac.journal.tables import metadata
from tests.unit.engine_harness import Exit, World, world

SECRET = "pa'ss \"wörd\" $HOME"

TOOL: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "$namespaces": {"cwltool": "http://commonwl.org/cwltool#"},
    "hints": {"cwltool:Secrets": {"secrets": ["pw"]}},
    "requirements": {
        "EnvVarRequirement": {"envDef": {"PW": "$(inputs.pw)"}},
        "InitialWorkDirRequirement": {"listing": [{"entryname": "conf", "entry": "password=$(inputs.pw)"}]},
    },
    "baseCommand": "true",
    "inputs": {"pw": {"type": "string", "inputBinding": {"prefix": "--pw"}}},
    "outputs": {"out": "Any"},
}


def kept(made: World, log: pytest.LogCaptureFixture, tmp_path: Path) -> str:
    """Return all that is in the journal, in logs, in messages, and on disk but for the secrets' own file."""
    parts = [log.text, repr(made.sent)]
    with made.engine.database.read() as connection:
        for table in metadata.sorted_tables:
            parts += [repr(tuple(row)) for row in connection.execute(select(table))]
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file() and path.parent.name != "secrets" and path.name != "cwl.output.json":  # the tool's own word
            parts.append(path.read_text("utf-8", "replace"))
    return "\n".join(parts)


def forms() -> tuple[str, ...]:
    return (SECRET, json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1], "wörd", "w\\u00f6rd")


def write(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "doc.cwl"
    path.write_text(json.dumps(document))
    return path


def test_a_tool_gets_it_and_nobody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: dict[str, Any] = {}

    def play(words: Sequence[str]) -> dict[str, Any]:
        command = made.commands[-1]
        seen.update(words=list(words), env=command.env["PW"], file=Path(command.workdir, "conf").read_text())
        secrets = list((tmp_path / "home" / "secrets").iterdir())
        seen.update(modes=[oct(path.stat().st_mode & 0o777) for path in (*secrets, secrets[0].parent)])
        return {"out": f"the password is {words[1]}"}

    with world(tmp_path / "home", play) as made:
        row = made.finished(write(tmp_path, TOOL), {"pw": SECRET})
        assert row.state == "SUCCESS", row.error
        assert seen["words"] == ["--pw", SECRET]
        assert (seen["env"], seen["file"]) == (SECRET, f"password={SECRET}")
        assert seen["modes"] == ["0o600", "0o700"]
        assert row.outputs["out"].startswith("the password is (secret-")
        assert list((tmp_path / "home" / "secrets").iterdir()) == []
        told = kept(made, caplog, tmp_path)
    assert not [form for form in forms() if form in told]
    assert "(secret-" in told


def test_a_failure_tells_the_command_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def play(words: Sequence[str]) -> Any:
        raise Exit(1, "it went wrong")

    with world(tmp_path / "home", play) as made:
        row = made.finished(write(tmp_path, TOOL), {"pw": SECRET})
        assert row.state == "FAILED"
        assert "(secret-" in repr(row.error["fields"]["command"])
        told = kept(made, caplog, tmp_path)
        assert not [form for form in forms() if form in told]
        assert list((tmp_path / "home" / "secrets").iterdir()) == []
        with pytest.raises(NotFoundError, match="removed when a run ends"):
            reopen(made.engine, row.id)


def test_what_a_failed_tool_said_is_masked(tmp_path: Path) -> None:
    def play(words: Sequence[str]) -> Any:
        raise Exit(1, f"wrong password: {words[1]}")

    with world(tmp_path / "home", play) as made:
        row = made.finished(write(tmp_path, TOOL), {"pw": SECRET})
    assert "wrong password: (secret-" in row.error["hint"]


def test_it_goes_from_step_to_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words: list[Sequence[str]] = []

    def play(given: Sequence[str]) -> dict[str, Any]:
        words.append(list(given))
        return {"out": given[-1]}

    plain = {**TOOL, "requirements": {}}
    second = {**plain, "hints": {}}
    document = {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": {"ScatterFeatureRequirement": {}, "StepInputExpressionRequirement": {}},
        "inputs": {"key": "string[]", "other": "string"},
        "outputs": {"last": {"type": "Any", "outputSource": "two/out"}},
        "steps": {
            "one": {"run": plain, "scatter": "pw", "in": {"pw": "key"}, "out": ["out"]},
            "two": {"run": second, "in": {"pw": {"source": "one/out", "valueFrom": "$(self[1])"}}, "out": ["out"]},
        },
    }
    with world(tmp_path / "home", play) as made:
        row = made.finished(write(tmp_path, document), {"key": ["first-secret", "second-secret"], "other": "plain"})
        assert row.state == "SUCCESS", row.error
        told = kept(made, caplog, tmp_path)
    assert words == [["--pw", "first-secret"], ["--pw", "second-secret"], ["--pw", "second-secret"]]
    assert "first-secret" not in told and "second-secret" not in told and "plain" in told
    assert row.outputs["last"].startswith("(secret-")


def test_a_request_is_kept_without_it(tmp_path: Path) -> None:
    with world(tmp_path / "home") as made:
        submission = made.check(write(tmp_path, TOOL), {"pw": SECRET})
        request = {"workflow_params": json.dumps({"pw": SECRET}), "tags": [SECRET, "plain"]}
        run, _ = submit(made.engine, submission, origin=Origin("somebody", "doc", request))
        kept = made.run(run).request
    assert not [form for form in forms() if form in repr(kept)]
    assert kept["tags"][1] == "plain"


def test_names_that_have_it_in_them_stay(tmp_path: Path) -> None:
    """The caller's, the workflow's and those of a request's fields are looked for by them."""
    asked = {"workflow_params": {"pw": "test"}, "run_id": "test-1", "workflow_url": "test.cwl", "tags": {"is": "test"}}
    with world(tmp_path / "home") as made:
        for secret in ("test", "workflow", "request"):
            document = write(tmp_path, TOOL)
            submission = made.check(document, {"pw": secret})
            run, _ = submit(made.engine, submission, origin=Origin("tester", "test.workflow", asked))
            row = made.run(run)
            assert (row.caller, row.workflow, set(row.request)) == ("tester", "test.workflow", set(asked))
            assert (row.request["run_id"], row.request["workflow_url"]) == ("test-1", "test.cwl")
            assert ("test" in repr([row.request["workflow_params"], row.request["tags"]])) is (secret != "test")


def test_it_goes_with_a_cancelled_run(tmp_path: Path) -> None:
    with world(tmp_path / "home") as made:
        run = made.start(write(tmp_path, TOOL), {"pw": SECRET})
        assert list((tmp_path / "home" / "secrets").iterdir())
        cancel(made.engine, run)
        made.drain()
        assert made.over(run)
        assert list((tmp_path / "home" / "secrets").iterdir()) == []


@pytest.mark.parametrize("value", [5, {"class": "File", "location": "x"}, [1]])
def test_only_texts_are_secret(value: Any) -> None:
    with pytest.raises(InputError, match="secret input 'pw'"):
        hide({"pw": value}, ["pw"])


def test_what_is_not_given_is_not_hidden() -> None:
    assert hide({"pw": None, "x": 1}, ["pw", "gone"]) == ({"pw": None, "x": 1}, Secrets({}))


@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=4), min_size=1), st.text())
def test_masked_is_without_and_revealed_is_with(values: dict[str, str], around: str) -> None:
    hidden, found = hide(dict(values), values)
    assert found.reveal(json.dumps(hidden["a"] if "a" in hidden else "")) is not None
    for name, value in values.items():
        assert found.reveal(hidden[name]) == value
        masked = found.mask({"x": [value, f"{around} {value} {around}"]})
        assert masked["x"][0] in found.values
    assert "values" not in repr(found) or not any(value in repr(found) for value in values.values() if len(value) > 12)


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=20))
def test_in_a_shell_a_quoted_value_stays_one_word(value: str) -> None:
    hidden, found = hide({"pw": value}, ["pw"])
    line = found.in_shell(f"printf %s 'a'\\''b' '{hidden['pw']}'")
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout == b"a'b" + value.encode()


def test_flower_shows_no_inputs() -> None:
    sent = run_workflow.bind(Celery("test")).s("wf.cwl", {"pw": SECRET}, on_error="continue")
    assert sent.kwargs["inputs"] == {"pw": SECRET}
    assert "continue" in sent.options["kwargsrepr"]
    assert not [form for form in forms() if form in sent.options["kwargsrepr"]]


def test_errors_keep_their_kind() -> None:
    hidden, found = hide({"pw": SECRET}, ["pw"])
    error = found.error(StepFailed(f"a {SECRET}", hint=SECRET, command=["x", SECRET]))
    assert isinstance(error, StepFailed)
    assert error.to_dict()["fields"] == {"command": ["x", hidden["pw"]]}
    assert SECRET not in str(error)
