"""Runs from Python: in a checkout, and in a program with a Celery app, tasks and workers of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import HANG, Desk
from tests.acceptance.workers import CELERY, CHECKOUT, Site, echo, until
from tests.services.process import running

WORKFLOW = """\
cwlVersion: v1.2
class: Workflow
inputs: {message: string}
outputs: {out: {type: string, outputSource: say/out}}
steps: {say: {run: echo.cwl, in: {message: message}, out: [out]}}
"""
FAILS = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, "echo the reason >&2; exit 3"]
inputs: {}
outputs: {}
"""
SIZE = """\
cwlVersion: v1.2
class: CommandLineTool
requirements: {InlineJavascriptRequirement: {}}
baseCommand: [wc, -c]
stdin: $(inputs.file.path)
stdout: size.txt
inputs: {file: File}
outputs:
  size: {type: int, outputBinding: {glob: size.txt, loadContents: true, outputEval: "$(Number(self[0].contents))"}}
"""

WAITS = """\
cwlVersion: v1.2
class: Workflow
inputs: {seconds: int}
outputs: {}
steps:
  wait:
    run:
      class: CommandLineTool
      baseCommand: sleep
      inputs: {seconds: {type: int, inputBinding: {}}}
      outputs: {}
    in: {seconds: seconds}
    out: []
"""

#: A program's own module: its app, and its tasks before and after a run.
MINE = """\
import os
from celery import Celery

app = Celery("mine", broker=os.environ["MINE"], backend=os.environ["MINE"])
app.set_default()

@app.task
def my_prep(text):
    return {"message": text}

@app.task
def my_after(outputs):
    return "after " + outputs["out"]

@app.task
def my_body(results):
    return [outputs["out"] for outputs in results]

@app.task
def my_errback(task_id):
    with open(os.environ["ERRORS"], "a") as file:
        file.write(task_id)
"""
BEGIN = """\
import json
from celery import chain, chord, group
from celeriac import run_workflow
from mine import my_after, my_body, my_errback, my_prep

def say(value):
    print(json.dumps(value))

def cause(result):
    try:
        result.get(timeout=60)
    except Exception as error:
        return [type(error).__name__, str(error)]
"""


@pytest.fixture(scope="module")
def cluster(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A worker of Celeriac's on all queues, and one of a program's own."""
    directory = tmp_path_factory.mktemp("program")
    broker = redis_url.removesuffix("/0") + "/4"
    env = {"MINE": broker, "ERRORS": str(directory / "errors.txt"), "CELERIAC_BROKER_URL": broker}
    site = Site(Desk(directory, {**env, "CELERIAC_SCAN_INTERVAL": "1"}))
    site.write(echo=echo(), wf=WORKFLOW, fails=FAILS, size=SIZE, waits=WAITS)
    (directory / "mine.py").write_text(MINE)
    (directory / "data.txt").write_text("12345")
    log = directory / "mine.log"
    words = ["env", "-C", str(directory), CELERY, "-A", "mine", "worker", "-c", "1", "-n", "mine@%h", "-l", "info"]
    own = running(words, ready=lambda: " ready." in log.read_text(), log=log, env=site.desk.environment())
    with site.worker("all", "-c", "2"), own:
        yield site


@pytest.fixture(autouse=True)
def _logs(cluster: Site) -> Iterator[None]:
    yield
    cluster.show_logs()


def _python(cluster: Site, code: str, cwd: Path | None = None) -> Any:
    """Run a script in a directory; returns what it printed, which is JSON."""
    here = cwd or cluster.desk.directory
    script = here / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=here, env=cluster.desk.environment(), capture_output=True, text=True, timeout=HANG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- in a checkout ---------------------------------------------------------------------------------


@pytest.fixture
def checkout(cluster: Site, tmp_path: Path) -> Path:
    """A checkout with documents of one's own in it."""
    for name in ("celeriac", "tasks", "queues", "config", "celeryconfig.py", "queues.yaml"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    for name in ("wf.cwl", "echo.cwl"):
        (tmp_path / name).symlink_to(cluster.desk.directory / name)
    return tmp_path


def test_a_task_of_the_checkout(cluster: Site, checkout: Path) -> None:
    code = (
        "import json\nfrom tasks import run_workflow\n"
        'print(json.dumps(run_workflow.delay("wf.cwl", {"message": "hello"}).get(timeout=60)))\n'
    )
    assert _python(cluster, code, checkout) == {"out": "hello."}


def test_a_task_of_the_checkout_by_keyword(cluster: Site, checkout: Path) -> None:
    code = (
        "import json\nfrom tasks import run_workflow\n"
        'one = run_workflow.apply_async(kwargs={"document": "wf.cwl", "inputs": {"message": "k"}})\n'
        "print(json.dumps(one.get(timeout=60)))\n"
    )
    assert _python(cluster, code, checkout) == {"out": "k."}


# --- in a program of one's own ---------------------------------------------------------------------


def test_outputs_are_the_result(cluster: Site) -> None:
    code = BEGIN + 'say(run_workflow.delay("wf.cwl", {"message": "hello"}).get(timeout=60))'
    assert _python(cluster, code) == {"out": "hello."}


def test_a_run_and_a_step_are_cancelled(cluster: Site) -> None:
    code = """
        import time
        from celeriac import cancel_run, cancel_step
        whole, step = (run_workflow.delay("waits.cwl", {"seconds": 600}) for _ in range(2))
        while not all(one.state == "STARTED" for one in (whole, step)):
            time.sleep(0.05)
        first = cancel_run.delay(whole).get(timeout=60)
        while cancel_step.delay(step, "wait").get(timeout=60) != "FAILED":
            time.sleep(0.05)
        ended = cause(whole), cause(step)
        say([first, cancel_run.delay(whole).get(timeout=60), cancel_run.delay("nobody").get(timeout=60), ended])
    """
    first, again, unknown, (whole, step) = _python(cluster, BEGIN + textwrap.dedent(code))
    assert first in ("CANCELING", "CANCELED") and again == "CANCELED" and unknown is None
    assert whole[0] == "RunCancelled"
    assert step[0] == "RunFailed" and "'wait' was cancelled" in step[1]


def test_paths_start_where_the_program_is(cluster: Site) -> None:
    file = '{"file": {"class": "File", "path": "data.txt"}}'
    assert _python(cluster, BEGIN + f'say(run_workflow.delay("size.cwl", {file}).get(timeout=60))') == {"size": 5}


def test_the_task_s_id_is_the_result_s(cluster: Site) -> None:
    code = BEGIN + (
        'from mine import app\nresult = run_workflow.delay("wf.cwl", {"message": "id"})\nresult.get(timeout=60)\n'
        "say([app.AsyncResult(result.id).state, app.AsyncResult(result.id).get(timeout=60)])"
    )
    assert _python(cluster, code) == ["SUCCESS", {"out": "id."}]


def test_in_a_chain_as_it_is_written(cluster: Site) -> None:
    code = BEGIN + 'say(chain(my_prep.s("hi"), run_workflow.s(document="wf.cwl"), my_after.s())().get(timeout=60))'
    assert _python(cluster, code) == "after hi."


def test_between_the_program_s_own_tasks(cluster: Site) -> None:
    code = BEGIN + (
        'run = run_workflow.s(document="wf.cwl").set(queue="celeriac")\n'
        'say(chain(my_prep.s("hello"), run, my_after.s())().get(timeout=60))'
    )
    assert _python(cluster, code) == "after hello."


def test_before_the_program_s_own_canvas(cluster: Site) -> None:
    code = BEGIN + (
        'run = run_workflow.s("wf.cwl", {"message": "x"})\n'
        "many = chain(run, group(my_after.s(), my_after.s()))()\n"
        "say(many.get(timeout=60))"
    )
    assert _python(cluster, code) == ["after x.", "after x."]


def test_a_group_of_two_runs(cluster: Site) -> None:
    code = BEGIN + 'say(group(run_workflow.s("wf.cwl", {"message": m}) for m in "ab")().get(timeout=60))'
    assert _python(cluster, code) == [{"out": "a."}, {"out": "b."}]


def test_a_chord_with_the_program_s_own_body(cluster: Site) -> None:
    code = BEGIN + (
        'runs = [run_workflow.s("wf.cwl", {"message": m}) for m in "abc"]\n'
        "say(chord(runs)(my_body.s()).get(timeout=60))"
    )
    assert _python(cluster, code) == ["a.", "b.", "c."]


def test_a_failing_run_raises_its_cause(cluster: Site) -> None:
    name, message = _python(cluster, BEGIN + 'say(cause(run_workflow.delay("fails.cwl")))')
    assert name == "RunFailed"
    assert "exit code 3" in message and "the reason" in message and "fails.cwl" in message


def test_what_is_wrong_with_the_inputs_is_raised(cluster: Site) -> None:
    name, message = _python(cluster, BEGIN + 'say(cause(run_workflow.delay("wf.cwl", {"message": 1})))')
    assert name == "InputError" and "message" in message
    name, message = _python(cluster, BEGIN + 'say(cause(run_workflow.delay("nowhere.cwl", {})))')
    assert name == "DocumentError" and "nowhere.cwl" in message


def test_a_chord_with_a_failing_run_fails_with_its_cause(cluster: Site) -> None:
    code = BEGIN + (
        'runs = [run_workflow.s("wf.cwl", {"message": "a"}), run_workflow.s("fails.cwl", {})]\n'
        "say(cause(chord(runs)(my_body.s())))"
    )
    name, message = _python(cluster, code)
    assert "exit code 3" in message


def test_the_program_s_errback_is_called(cluster: Site) -> None:
    code = BEGIN + (
        "result = run_workflow.s('fails.cwl', {}).set(link_error=my_errback.s()).apply_async()\n"
        "cause(result)\nsay(result.id)"
    )
    task = _python(cluster, code)
    errors = Path(cluster.desk.env["ERRORS"])
    until(lambda: errors.exists() and errors.read_text() == task, "the errback is not called")


def test_importing_celeriac_imports_nothing_of_the_application(tmp_path: Path) -> None:
    code = (
        "import json, sys\nimport celeriac\nfrom celeriac import run_workflow\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = {'tasks', 'queues', 'config', 'celeryconfig', 'cwltool', 'sqlalchemy', 'docker', 'quickjs'}\n"
        "print(json.dumps(sorted(roots & heavy)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=HANG
    )
    assert (json.loads(done.stdout), done.stderr) == ([], "")
