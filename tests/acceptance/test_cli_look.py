"""The commands that look at runs, on real runs of one process."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from celeriac.journal import runs
from celeriac.journal.database import Database
from tests.acceptance.commands import CELERIAC, Desk, desk

RUN_KEYS = {
    "id", "name", "state", "created", "started", "ended", "seconds", "directory", "counts", "waiting", "error",
    "interrupted", "steps", "failures",
}  # fmt: skip
STEP_KEYS = {
    "step", "kind", "state", "total", "done", "counts", "started", "ended", "seconds", "queue", "host", "exit_code",
    "reused",
}  # fmt: skip
ITEM_KEYS = {
    "path", "step", "kind", "state", "attempt", "queue", "host", "exit_code", "started", "ended", "peak_memory",
    "cpu_seconds", "error", "logs", "reused",
}  # fmt: skip


@dataclass(frozen=True)
class Past:
    """Runs that have ended: one well, one with a failed item, one that kept no logs."""

    desk: Desk
    good: str
    bad: str
    bare: str
    printed: dict[str, Any]  # what `run` printed of the good one


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Run the runs."""
    here = desk(tmp_path_factory.mktemp("look"))
    bare = here("run", "--no-container", "--quiet", "numbers.cwl")
    first = here.newest()
    good = here("run", "--no-container", "--quiet", "--leave-tmpdir", "numbers.cwl")
    second = here.newest()
    here("run", "--no-container", "--quiet", "--on-error", "continue", "numbers.cwl", "--fail", "1", code=1)
    assert bare.stdout == good.stdout
    return Past(here, second, here.newest(), first, json.loads(good.stdout))


def test_status_of_a_good_run(past: Past) -> None:
    text = past.desk("status", past.good).stdout
    assert f"numbers.cwl ({past.good}) is SUCCESS" in text
    assert "5 of 5 jobs done" in text
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("work")] == [["work", "SUCCESS", "3/3"]]


def test_status_of_a_failed_run_tells_why_and_where_the_logs_are(past: Past) -> None:
    text = past.desk("status", past.bad).stdout
    assert "is FAILED" in text
    assert "2/3, 1 failed" in text
    assert "UPSTREAM_FAILED" in text  # join
    assert "'work[1]' ended with exit code 7" in text
    where = next(line for line in text.splitlines() if "its logs are in" in line).split()[-1]
    assert (Path(where) / "stderr.log").read_text() == "remark 1\n"


def test_status_json_has_the_documented_keys(past: Past) -> None:
    data = past.desk.json("status", past.bad)
    assert set(data) == RUN_KEYS
    assert (data["id"], data["state"], data["waiting"]) == (past.bad, "FAILED", 0)
    assert data["counts"] == {"SUCCESS": 3, "FAILED": 1, "UPSTREAM_FAILED": 1}
    assert all(set(step) == STEP_KEYS for step in data["steps"])
    work = next(step for step in data["steps"] if step["step"] == "work")
    assert (work["kind"], work["total"], work["done"], work["exit_code"]) == ("scatter", 3, 2, 7)
    assert [(item["path"], item["exit_code"]) for item in data["failures"]] == [("work[1]", 7)]
    assert data["error"]["type"] == "StepFailed"


def test_status_all_lists_each_job(past: Past) -> None:
    data = past.desk.json("status", "--all", past.good)
    assert set(data) == RUN_KEYS | {"items"}
    assert all(set(item) == ITEM_KEYS for item in data["items"])
    assert {item["path"] for item in data["items"]} == {"numbers", "work[0]", "work[1]", "work[2]", "join"}
    text = past.desk("status", "--all", past.good).stdout
    assert all(path in text for path in ("work[0]", "work[1]", "work[2]"))


def test_status_watch_of_an_ended_run_tells_how_it_ended(past: Past) -> None:
    past.desk("status", "--watch", past.good)
    past.desk("status", "--watch", past.bad, code=1)
    lines = past.desk("status", "--watch", "--json", past.bad, code=1).stdout.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["FAILED"]


def test_outputs_of_a_run_are_what_run_printed(past: Past) -> None:
    assert json.loads(past.desk("outputs", past.good).stdout) == past.printed
    assert past.desk.json("outputs", past.good) == past.printed == {"all": "0\n1\n2\n"}


def test_outputs_of_steps(past: Past) -> None:
    assert past.desk.json("outputs", past.good, "numbers") == {"list": [0, 1, 2]}
    item = past.desk.json("outputs", past.good, "work[2]")["number"]
    assert Path(item["path"]).read_text() == "2\n"
    scatter = past.desk.json("outputs", past.good, "work")["number"]
    assert [Path(file["path"]).read_text() for file in scatter] == ["0\n", "1\n", "2\n"]


def test_outputs_of_what_failed(past: Past) -> None:
    done = past.desk("outputs", past.bad, code=1)
    assert json.loads(done.stdout) == {"all": None}  # it went on after the failure
    assert "exit code 7" in done.stderr
    done = past.desk("outputs", past.bad, "work[1]", code=1)
    assert (done.stdout, "exit code 7" in done.stderr) == ("", True)
    done = past.desk("outputs", past.good, "wrk", code=1)
    assert "'wrk'" in done.stderr and "did you mean work?" in done.stderr


def test_logs_of_many_jobs_begin_with_the_step(past: Past) -> None:
    lines = past.desk("logs", past.good).stdout.splitlines()
    assert sorted(lines) == sorted(f"work[{n}] | {word} {n}" for n in range(3) for word in ("begin", "end", "remark"))


def test_logs_of_one_job_are_as_they_are(past: Past) -> None:
    assert past.desk("logs", past.good, "work[1]").stdout == "begin 1\nend 1\nremark 1\n"
    assert past.desk("logs", "--stdout", past.good, "work[1]").stdout == "begin 1\nend 1\n"
    assert past.desk("logs", "--stderr", past.good, "work[1]").stdout == "remark 1\n"
    assert past.desk("logs", "--follow", past.good, "work[1]").stdout == "begin 1\nend 1\nremark 1\n"


def test_logs_json(past: Past) -> None:
    lines = past.desk("logs", "--json", "--stderr", past.good, "work").stdout.splitlines()
    records = sorted((json.loads(line) for line in lines), key=lambda record: str(record["path"]))
    assert records == [
        {"path": f"work[{n}]", "attempt": 1, "stream": "stderr", "line": f"remark {n}"} for n in range(3)
    ]


def test_logs_that_are_gone_are_an_error(past: Past) -> None:
    done = past.desk("logs", past.bare, code=1)
    assert done.stdout == ""
    assert "--leave-tmpdir" in done.stderr
    done = past.desk("logs", past.good, "nowhere", code=1)
    assert "nowhere" in done.stderr


def test_list(past: Past) -> None:
    data = past.desk.json("list")
    assert [run["id"] for run in data] == [past.bad, past.good, past.bare]  # newest first
    assert set(data[0]) == {"id", "name", "state", "created", "started", "ended", "seconds", "error", "interrupted"}
    assert [run["id"] for run in past.desk.json("list", "--state", "failed")] == [past.bad]
    assert len(past.desk.json("list", "--limit", "2")) == 2
    text = past.desk("list").stdout
    assert text.splitlines()[1].split()[:2] == [past.bad, "FAILED"]
    assert "exit code 7" in text


@pytest.mark.parametrize("words", [("--state", "sleeping"), ("--limit", "0"), ("--limit", "x"), ("extra",)])
def test_list_refuses_what_it_does_not_know(past: Past, words: tuple[str, ...]) -> None:
    done = past.desk("list", *words, code=1)
    assert words[-1] in done.stderr.lower()


@pytest.mark.parametrize("command", ["status", "outputs", "logs", "cancel"])
def test_a_run_is_named_by_the_beginning_of_its_id(past: Past, command: str) -> None:
    done = past.desk(command, "fedcba987", code=0 if command == "cancel" else 1)
    assert "there is no run 'fedcba987'" in done.stderr
    assert past.desk("list", "--json").stdout  # what to do next, as the message says
    past.desk(command, past.good[:11])
    assert "empty" in past.desk(command, "", code=1).stderr


@pytest.mark.parametrize("command", ["status", "outputs", "logs", "cancel"])
def test_a_beginning_that_several_have_is_refused(tmp_path: Path, command: str) -> None:
    here = desk(tmp_path)
    here("list")
    database = Database(f"sqlite:///{here.home}/journal.db")
    with database.begin() as connection:
        for name in ("abc1", "abc2", "abc"):
            runs.add(connection, id=name, name="x.cwl", document="none", inputs={}, options={}, queues=[])
    database.close()
    done = here(command, "ab", code=1)
    assert "'ab'" in done.stderr and "abc1" in done.stderr
    if command == "status":  # a whole id is never ambiguous
        assert here.json("status", "abc")["id"] == "abc"


def test_outputs_before_the_end(tmp_path: Path) -> None:
    here = desk(tmp_path)
    here("list")
    database = Database(f"sqlite:///{here.home}/journal.db")
    with database.begin() as connection:
        runs.add(connection, id="abc", name="x.cwl", document="none", inputs={}, options={}, queues=[])
    database.close()
    done = here("outputs", "abc", code=1)
    assert done.stdout == ""
    assert "has not ended: it is PENDING" in done.stderr
    assert here.json("status", "abc")["steps"] == []


def test_cancel_of_an_ended_run_changes_nothing(past: Past) -> None:
    done = past.desk("cancel", past.good, "fedcba987", past.bad)
    assert done.stdout == f"{past.good} SUCCESS\n{past.bad} FAILED\n"
    assert "fedcba987" in done.stderr


def test_a_reader_that_goes_away_is_no_error(past: Past) -> None:
    for words in (("list",), ("status", past.good), ("outputs", past.good), ("logs", past.good)):
        with subprocess.Popen(
            [str(CELERIAC), *words],
            env=past.desk.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == ""
