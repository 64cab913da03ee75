"""A run that fails explains itself: in what `run` says, in `status`, and by the logs of each attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.commands import Desk, desk

FAILS = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'echo "no reference for $0" >&2; exit 3']
inputs: {name: {type: string, default: chr 7, inputBinding: {}}}
outputs: {}
"""

KILLED = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'echo "process $$" >&2; kill -KILL $$']
inputs: {}
outputs: {}
"""

MISSING = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [no-such-program, --version]
inputs: {}
outputs: {}
"""

EXPRESSION = """\
cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {}
outputs: {o: int}
expression: "${ return {o: inputs.y.z}; }"
"""


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    return desk(tmp_path)


def said(here: Desk, document: str, *inputs: str) -> str:
    """Run a document that fails; return what it said."""
    (here.directory / "tool.cwl").write_text(document)
    options = ("--no-container", "--quiet", "--on-error", "continue")
    return here("run", *options, "tool.cwl", *inputs, code=1).stderr


def test_a_failed_tool(here: Desk) -> None:
    text = said(here, FAILS)
    run = here.newest()
    lines = text.splitlines()
    assert lines[:3] == [
        "celeriac: error: 'tool.cwl' ended with exit code 3",
        "  the end of its standard error:",
        "  no reference for chr 7",
    ]
    assert lines[3].startswith("  attempt 1 (queue ") and lines[3].endswith("): exit code 3")
    assert lines[4] == "  command: sh -c 'echo \"no reference for $0\" >&2; exit 3' 'chr 7'"
    where = Path(lines[5].removeprefix("  its logs are in "))
    assert (where / "stderr.log").read_text() == "no reference for chr 7\n"
    assert lines[6:] == [f"  `celeriac status {run}` tells more"]
    status = here("status", run).stdout
    assert status.count("no reference for chr 7\n") == 1 and f"its logs are in {where}" in status


def test_a_program_that_is_not_there_left_no_logs(here: Desk) -> None:
    text = said(here, MISSING)
    assert "'no-such-program'" in text and "was not found on this host" in text
    assert "command: no-such-program --version" in text
    assert "its logs" not in text


def test_an_expression(here: Desk) -> None:
    text = said(here, EXPRESSION)
    assert "cannot read property 'z' of undefined" in text
    assert "command:" not in text and "its logs" not in text


def test_items_that_failed_beside_the_first_are_counted(here: Desk) -> None:
    document = (here.directory / "numbers.cwl").read_text().replace("!= $(inputs.fail)", "-lt $(inputs.fail)")
    text = said(here, document, "--count", "10", "--fail", "7")
    assert "2 more failed: `celeriac status" in text
    status = here("status", here.newest()).stdout
    assert status.count("\n  command: ") == 1, "one of them is told in full"
    assert all(f"'work[{number}]' ended with exit code 7" in status for number in (7, 8, 9))


def test_each_attempt_is_told_and_has_its_own_logs(here: Desk) -> None:
    lines = said(here, KILLED).splitlines()
    run = here.newest()
    tries = here.json("why", run)["attempts"]
    assert len(tries) > 1
    told = [line.partition("): ")[2] for line in lines if line.startswith("  attempt ")]
    assert told == ["ended from outside"] * len(tries), "the message above says the rest"
    logs = [here("logs", run, "--attempt", str(one["attempt"])).stdout.split(" | ")[-1] for one in tries]
    assert len(set(logs)) == len(tries) and all(log.startswith("process ") for log in logs)
    assert [(Path(one["logs"]) / "stderr.log").read_text() for one in tries] == logs
    done = here("logs", run, "--attempt", "99", code=1)
    assert f"run {run} has no attempt 99" in done.stderr and "celeriac why" in done.stderr
    here("logs", run, "--attempt", "0", code=1)


def test_what_a_failed_tool_was_given_is_kept_with_what_it_made(here: Desk) -> None:
    document = FAILS.replace("-c, '", "-c, 'echo half > half.txt; ").replace("inputs: {", "inputs: {data: File, ")
    (here.directory / "data.txt").write_text("seven")
    said(here, document, "--data", str(here.directory / "data.txt"))
    where = Path(here.json("why", here.newest())["attempts"][0]["logs"])
    assert (where / "out" / "half.txt").read_text() == "half\n"
    assert [path.read_text() for path in (where / "in").rglob("data.txt")] == ["seven"]
