"""What `celeriac run` loads before it runs anything: what a run does not need costs it nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import HANG, Desk, desk

ECHO = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {message: {type: string, inputBinding: {}}}
outputs: {out: stdout}
"""
#: The command `celeriac`, which then tells on standard error what was loaded.
PROGRAM = """\
import json, sys
from config.main import main
code = main(sys.argv[1:])
json.dump(sorted(sys.modules), sys.stderr)
sys.exit(code)
"""
#: Of no use to a run of a tool without a container, with a journal in SQLite.
NEEDLESS = {
    "alembic", "mako", "docker", "psycopg", "psycopg2", "sqlalchemy.dialects.postgresql", "redis", "flower", "rich",
    "argcomplete", "cwltool.main", "cwltool.executors", "cwltool.argparser", "networkx", "celery.bin",
    "jwt", "celeriac.engine.notes", "celeriac.notify", "celeriac.journal.notices",
}  # fmt: skip
#: What documents are loaded with.
LOADING = {"cwltool.load_tool", "cwltool.workflow", "celeriac.document.load"}


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    made = desk(tmp_path)
    (made.directory / "echo.cwl").write_text(ECHO)
    (made.directory / "job.json").write_text('{"message": "hello"}')
    return made


def run(here: Desk, *words: str) -> tuple[str, set[str]]:
    """Run the tool; return what it printed and the modules that were loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", "--quiet", "--outdir", "out", *words],
        cwd=here.directory,
        env=here.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, set(json.loads(done.stderr))


def test_a_run_loads_nothing_that_it_does_not_need(here: Desk) -> None:
    output, loaded = run(here, "echo.cwl", "job.json")
    assert json.loads(output)["out"]["size"] == 6
    assert not NEEDLESS & loaded
    assert loaded >= LOADING


def test_a_document_that_was_run_before_is_not_loaded_again(here: Desk) -> None:
    before, _ = run(here, "echo.cwl", "job.json")
    output, loaded = run(here, "echo.cwl", "job.json")
    assert not LOADING & loaded
    assert json.loads(output) == json.loads(before)
    (here.directory / "echo.cwl").write_text(ECHO.replace("echo", "printf"))
    output, loaded = run(here, "echo.cwl", "job.json")
    assert loaded >= LOADING
    assert json.loads(output)["out"]["size"] == 5


def test_to_validate_is_to_load(here: Desk) -> None:
    run(here, "echo.cwl", "job.json")
    for job in ([], ["job.json"], ["--message", "x"]):
        output, loaded = run(here, "--validate", "echo.cwl", *job)
        assert loaded >= LOADING and output == "echo.cwl is valid CWL.\n"


def test_the_cache_may_go_at_any_time(here: Desk) -> None:
    before, _ = run(here, "echo.cwl", "job.json")
    for path in sorted((here.home / "cache").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert run(here, "echo.cwl", "job.json")[0] == before
