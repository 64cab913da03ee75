"""resume, retry and cancel --step, by the command line alone: an embedded run that dies, fails or is stopped."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.commands import HANG, Desk, desk

#: Two chains; each step notes in a file beside the document that it ran. ``gate`` holds up ``b2`` until it is there,
#: and ``b2`` fails while ``bad`` is there.
CHAINS = """\
cwlVersion: v1.2
class: Workflow
inputs: {place: string}
outputs:
  a: {type: File, outputSource: a2/out}
  b: {type: File, outputSource: b2/out}
steps:
  a1: {run: tool.cwl, in: {place: place, name: {default: a1}}, out: [out]}
  a2: {run: tool.cwl, in: {place: place, name: {default: a2}, after: a1/out}, out: [out]}
  b1: {run: tool.cwl, in: {place: place, name: {default: b1}}, out: [out]}
  b2: {run: tool.cwl, in: {place: place, name: {default: b2}, after: b1/out}, out: [out]}
"""
TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
hints: {WorkReuse: {enableReuse: false}}
baseCommand: [sh, -c]
arguments:
  - |-
    echo $1 >>$0/ran
    if [ $1 = b2 ]; then
      [ ! -e $0/bad ] || exit 1
      while [ ! -e $0/gate ]; do sleep 0.1; done
    fi
    echo $1
inputs:
  place: {type: string, inputBinding: {position: 1}}
  name: {type: string, inputBinding: {position: 2}}
  after: File?
stdout: out.txt
outputs: {out: stdout}
"""


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    made = desk(tmp_path)
    (tmp_path / "chains.cwl").write_text(CHAINS)
    (tmp_path / "tool.cwl").write_text(TOOL)
    (tmp_path / "job.json").write_text(json.dumps({"place": str(tmp_path)}))
    return made


RUN = ("run", "--quiet", "--outdir", "out", "chains.cwl", "job.json")


def ran(here: Desk) -> dict[str, int]:
    """Return how often each step ran."""
    path = here.directory / "ran"
    words = path.read_text().split() if path.exists() else []
    return {word: words.count(word) for word in set(words)}


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < until, "nothing happens"
        time.sleep(0.05)


def states(here: Desk) -> dict[str, str]:
    return {step["step"]: step["state"] for step in here.json("status", here.newest())["steps"]}


def interrupted(here: Desk) -> str:
    """Kill a run outright while its last step waits; return its id."""
    with here.start(*RUN) as process:
        wait_for(lambda: ran(here).get("b2") and states(here).get("a2") == "SUCCESS")
        run = here.newest()
        process.send_signal(signal.SIGKILL)
        process.wait(HANG)
    return run


def test_a_run_that_was_killed_goes_on_without_doing_anything_twice(here: Desk) -> None:
    run = interrupted(here)
    assert f"`celeriac resume {run}`" in here("status", run).stdout
    assert f"`celeriac resume {run}`" in here("list").stdout
    assert here.json("status", run)["interrupted"] is True
    (here.directory / "gate").touch()
    outputs = json.loads(here("resume", "--quiet", run).stdout)
    assert {name: Path(file["path"]).read_text() for name, file in outputs.items()} == {"a": "a2\n", "b": "b2\n"}
    assert ran(here) == {"a1": 1, "a2": 1, "b1": 1, "b2": 2}
    assert here.json("status", run)["state"] == "SUCCESS"
    assert json.loads(here("resume", "--quiet", run).stdout) == outputs, "once more it only prints them"


def test_two_who_resume_one_run_do_it_once(here: Desk) -> None:
    run = interrupted(here)
    with here.start("resume", "--quiet", run) as first:
        wait_for(lambda: ran(here)["b2"] == 2)
        assert f"run {run} goes on: process {first.pid}" in here("resume", run, code=1).stderr
        (here.directory / "gate").touch()
        out, _ = first.communicate(timeout=HANG)
    assert first.returncode == 0
    assert set(json.loads(out)) == {"a", "b"}
    assert ran(here)["b2"] == 2


def test_what_failed_is_done_again_and_nothing_else(here: Desk) -> None:
    (here.directory / "bad").touch()
    done = here(*RUN, "--on-error", "continue", code=1)
    run = here.newest()
    assert "'b2' ended with exit code 1" in done.stderr
    (here.directory / "bad").unlink()
    (here.directory / "gate").touch()
    again = here("retry", run)
    assert {name: Path(file["path"]).read_text() for name, file in json.loads(again.stdout).items()} == {
        "a": "a2\n", "b": "b2\n",
    }  # fmt: skip
    assert ran(here) == {"a1": 1, "a2": 1, "b1": 1, "b2": 2}
    assert "3 steps of run" in again.stderr
    assert (here.directory / "out" / "out.txt").exists()


def test_from_a_step_it_and_what_follows_is_done_again(here: Desk) -> None:
    (here.directory / "bad").touch()
    here(*RUN, "--on-error", "continue", code=1)
    (here.directory / "bad").unlink()
    (here.directory / "gate").touch()
    here("retry", "--quiet", here.newest(), "--from", "a1")
    assert ran(here) == {"a1": 2, "a2": 2, "b1": 1, "b2": 2}


def test_mistakes_are_named(here: Desk) -> None:
    (here.directory / "gate").touch()
    here(*RUN)
    run = here.newest()
    assert "there is nothing to do again" in here("retry", run, code=1).stderr
    assert "has no step 'c1'" in here("retry", run, "--from", "c1", code=1).stderr
    assert "there is no run 'nobody'" in here("retry", "nobody", code=1).stderr
    assert "there is no run 'nobody'" in here("resume", "nobody", code=1).stderr
    assert "has ended" in here("resume", _failed(here), code=1).stderr


def _failed(here: Desk) -> str:
    (here.directory / "bad").touch()
    here(*RUN, code=1)
    return here.newest()


@pytest.mark.parametrize(("on_error", "a2"), [("continue", "SUCCESS"), ("stop", None)])
def test_one_step_is_cancelled_from_another_terminal(here: Desk, on_error: str, a2: str | None) -> None:
    with here.start(*RUN, "--on-error", on_error) as process:
        wait_for(lambda: ran(here).get("b2"))
        run = here.newest()
        assert here("cancel", run, "--step", "b2").stdout == f"{run} b2 FAILED\n"
        assert here("cancel", run, "--step", "nothing").stderr.startswith("celeriac: warning: run")
        _, said = process.communicate(timeout=HANG)
    assert process.returncode == 1
    assert "'b2' was cancelled" in said
    assert states(here)["b2"] == "FAILED"
    assert a2 is None or states(here)["a2"] == a2


def test_a_whole_run_is_cancelled_from_another_terminal(here: Desk) -> None:
    with here.start(*RUN) as process:
        wait_for(lambda: ran(here).get("b2"))
        here("cancel", here.newest())
        _, said = process.communicate(timeout=HANG)
    assert (process.returncode, "was cancelled" in said) == (1, True)
