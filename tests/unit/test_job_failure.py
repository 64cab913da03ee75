"""What is told of a failed step: each thing once, and all that helps to find out why."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.engine.outcome import outcome
from celeriac.errors import ExpressionError, KilledFromOutside, OutOfMemory, RunFailed, StepFailed
from celeriac.job import account
from celeriac.job.failure import ATTEMPTS, COMMAND, Failure, command, facts, text, verdict
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, add, world

ROOT = Path("/runs/4f2a/align-1")


def attempt(number: int = 1, **fields: Any) -> Any:
    row = {
        "id": f"id{number}", "path": "align", "directory": None, "number": number, "state": "SETTLED",
        "outcome": "permanentFail", "queue": "default", "granted": {"cpus": 1, "ram": 512, "gpus": 0},
        "host": "node1", "exit_code": 3, "error": None, "started": 1.0,
    }  # fmt: skip
    return SimpleNamespace(**{**row, **fields})


def told(failure: Failure) -> str:
    return text(failure.error, failure, lambda row: ROOT, "4f2a")


def failed(*tries: Any, others: int = 0, message: str = "'align' ended with exit code 3", **fields: Any) -> Failure:
    known = {"command": ["bwa", "mem", "a b"], "stdout": f"{ROOT}/stdout.log", "stderr": f"{ROOT}/stderr.log"}
    error = StepFailed(message, hint="the end of its standard error:\nno such file", **{**known, **fields})
    return Failure("align", error, tries or (attempt(),), others)


def test_all_that_is_known_is_told_once() -> None:
    assert told(failed(image="alpine:3")).splitlines() == [
        "'align' ended with exit code 3",
        "  the end of its standard error:",
        "  no such file",
        "  attempt 1 (queue default on node1): exit code 3",
        "  command: bwa mem 'a b'",
        "  image: alpine:3",
        f"  its logs are in {ROOT}",
        "  `celeriac status 4f2a` tells more",
    ]


def test_an_image_that_the_message_names_is_not_told_again() -> None:
    assert "image:" not in told(failed(image="alpine:3", message="'align' (image 'alpine:3') used more memory"))


def test_earlier_attempts_say_why_there_was_another() -> None:
    killed = KilledFromOutside("the container of 'align' was ended by SIGKILL").to_dict()
    lines = facts(
        failed(
            attempt(1, state="LOST", outcome=None, exit_code=None),
            attempt(2, outcome="infrastructure", exit_code=137, error=killed),
            attempt(3, outcome="outOfMemory", exit_code=137, error=OutOfMemory("much").to_dict()),
            attempt(4, outcome="temporaryFail", exit_code=75),
            attempt(5, outcome="handedBack", exit_code=None),
            attempt(6),
        ),
        lambda row: ROOT,
    )
    assert lines[:6] == [
        "attempt 1 (queue default on node1): its worker was lost",
        "attempt 2 (queue default on node1): ended from outside: the container of 'align' was ended by SIGKILL",
        "attempt 3 (queue default on node1): out of memory: had 512 MiB",
        "attempt 4 (queue default on node1): exit code 75, which may pass",
        "attempt 5 (queue default on node1): handed back, since its worker was told to end",
        "attempt 6 (queue default on node1): exit code 3",
    ]


def test_of_many_attempts_the_first_and_the_last_are_told() -> None:
    lines = facts(failed(*(attempt(number) for number in range(1, 21))), lambda row: ROOT)
    told_of = [line.split()[1] for line in lines if line.startswith("attempt")]
    assert len(told_of) == ATTEMPTS and told_of[-1] == "20"
    assert f"... {20 - ATTEMPTS} more attempts" in lines


def test_files_that_the_tool_names_are_its_logs() -> None:
    lines = facts(failed(stderr=f"{ROOT}/out/err.txt"), lambda row: ROOT)
    assert lines[-1] == f"its logs, out/err.txt and stdout.log, are in {ROOT}"


def test_an_expression_has_neither_command_nor_logs() -> None:
    error = ExpressionError("the expression of 'align' failed")
    row = attempt(exit_code=None, error=error.to_dict())
    assert facts(Failure("align", error, (row,)), lambda row: ROOT) == ["attempt 1 (queue default on node1): failed"]


def test_a_step_that_never_was_queued_is_named() -> None:
    error = ExpressionError("inputs.x is not there")
    assert facts(Failure("sub/align", error, ()), lambda row: ROOT) == ["the step is sub/align"]


def test_others_that_failed_are_counted() -> None:
    assert told(failed(others=2)).endswith("\n  2 more failed: `celeriac status 4f2a` tells more")


def test_a_run_that_failed_by_something_else_says_that() -> None:
    said = text(StepFailed("the outputs can't be written to /out"), failed(others=1), lambda row: ROOT, "4f2a")
    assert said.startswith("the outputs can't be written to /out\n  2 failed before that")
    assert text(StepFailed("no room"), None, lambda row: ROOT, "4f2a") == "no room"


def test_a_fault_of_our_own_is_not_the_tool_s() -> None:
    row = attempt(outcome="infrastructure", exit_code=None, error=StepFailed("KeyError: 'x'").to_dict())
    assert verdict(row) == "a fault of Celeriac's own"


@given(st.lists(st.text(st.characters(exclude_characters="\0\n\r"), max_size=20), max_size=12))
def test_a_command_line_can_be_given_to_a_shell(words: list[str]) -> None:
    shown = command(words)
    if len(shown) <= COMMAND and "(cut:" not in shown:
        assert shlex.split(shown) == words


@given(st.lists(st.text(max_size=50), min_size=1, max_size=2000))
def test_a_command_line_is_one_line_of_bounded_length(words: list[str]) -> None:
    shown = command(words)
    assert "\n" not in shown and len(shown) <= COMMAND + 60
    if "(cut:" in shown and len(shown) > COMMAND:
        assert f"{len(words)} words" in shown


def test_the_last_words_are_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "stderr.log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    lines = account.quoted(account.tail(log)).splitlines()
    assert lines[0] == "the end of its standard error:"
    assert lines[1:] == [f"line {number}" for number in range(1000 - account.LINES, 1000)]
    log.write_text("x" * 5000)
    assert account.tail(log) == "x" * account.TAIL, "one line without end is cut, not lost"
    assert account.quoted(account.tail(tmp_path / "nowhere")) == ""


# --- of real runs --------------------------------------------------------------------------------


def play(words: Sequence[str]) -> Mapping[str, Any]:
    if "13" in words:
        raise Exit(3, "no thirteenth\n")
    return add(words)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", play) as made:
        yield made


def test_what_a_python_caller_reads(cluster: World, tmp_path: Path) -> None:
    steps = {"s": step(tool("a"), {"a": "x"}, scatter="a")}
    document = write(tmp_path, workflow({"x": "int[]"}, steps, {"o": output("s/out")}, SCATTER))
    row = cluster.finished(document, {"x": [1, 13, 13]}, on_error="continue")
    with pytest.raises(RunFailed) as caught:
        outcome(cluster.engine, row.id)
    said = str(caught.value)
    assert said.startswith(f"run {row.id} of wf.cwl is FAILED: 's[1]' ended with exit code 3")
    assert said.count("no thirteenth") == said.count("exit code 3\n  command: true 13") == 1
    (tried,) = cluster.attempts(row.id, "s[1]")
    assert f"its logs are in {tried.directory}" in said
    assert (Path(tried.directory) / "stderr.log").read_text() == "no thirteenth\n", "it is kept"
    assert "1 more failed" in said
