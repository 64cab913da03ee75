"""What every command has: help with an example, named errors, a fast start, completion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from celeriac.cli.main import COMMANDS
from tests.acceptance.commands import CELERIAC, HANG, Desk, desk

READING = (
    ("status", "abc"), ("outputs", "abc"), ("logs", "abc"), ("list",), ("why", "abc", "x"), ("queues", "advise"),
)  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with an empty journal."""
    return desk(tmp_path_factory.mktemp("help"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(here: Desk, command: str) -> None:
    text = here(command, "--help").stdout
    assert f"usage: celeriac {command}" in text
    assert f"  celeriac {command}" in text.partition("examples:")[2]


def test_help_names_every_command(here: Desk) -> None:
    text = here("--help").stdout
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("    ") and line.split()}
    assert set(COMMANDS) <= listed


@pytest.mark.parametrize("words", [*READING, ("cancel", "abc")], ids=lambda words: words[0])
def test_a_journal_that_is_down_is_named(here: Desk, words: tuple[str, ...]) -> None:
    down = "postgresql://me:secret@127.0.0.1:1/x"
    done = here(*words, code=1, CELERIAC_JOURNAL_URL=down)
    assert "the journal's database postgresql://me:***@127.0.0.1:1/x does not answer" in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


def test_reading_starts_without_what_only_running_needs(here: Desk) -> None:
    program = (
        "import sys; from config.main import main\n"
        "for words in (['list', '--json'], ['status', 'abc'], ['outputs', 'abc'], ['logs', 'abc']): main(words)\n"
        "print(sorted({'cwltool', 'celery', 'kombu', 'docker', 'rich', 'schema_salad'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=here.directory,
        env=here.environment(),
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr


def test_queues_check(here: Desk) -> None:
    (here.directory / "good.yaml").write_text("b: {cpus: 2, ram: 2048, gpus: 1}\na: {cpus: 0.5, ram: 512}\n")
    (here.directory / "bad.yaml").write_text("a: {cpus: 1, ram: 512}\nb: {cpus: 1, rma: 512}\n")
    lines = here("queues", "check", "good.yaml").stdout.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["QUEUE", "CPUS"], ["a", "0.5"], ["b", "2"]]
    done = here("queues", "check", "bad.yaml", code=1)
    assert "bad.yaml:2" in done.stderr and "rma" in done.stderr
    assert "nothing.yaml" in here("queues", "check", "nothing.yaml", code=1).stderr
    here("queues", "chek", "good.yaml", code=1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(here: Desk, shell: str) -> None:
    script = here("completion", shell).stdout
    assert "celeriac" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "tcsh" in here("completion", "tcsh", code=1).stderr


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("celeriac sta", "status"),
        ("celeriac status --w", "--watch"),
        ("celeriac queues adv", "advise"),
        ("celeriac queues check numb", "numbers.cwl"),
        ("celeriac list --state runn", None),
        ("celeriac list --state RUNN", "RUNNING"),
        ("celeriac run numb", "numbers.cwl"),
    ],
)
def test_bash_completes(here: Desk, typed: str, expected: str | None) -> None:
    assert complete(here, typed) == ([expected] if expected else [])


def test_bash_completes_runs_and_steps(tmp_path: Path) -> None:
    here = desk(tmp_path)
    here("run", "--quiet", "--no-container", "numbers.cwl")
    run = here.newest()
    assert complete(here, "celeriac status ") == [run]
    assert complete(here, f"celeriac outputs {run} wo") == ["work"]
    assert complete(here, f"celeriac why {run} jo") == ["join"]
    assert complete(here, "celeriac queues advise numbers.cwl:jo") == ["join"], "bash takes a colon for a word's end"


def complete(here: Desk, typed: str) -> list[str]:
    """Return what bash offers at TAB."""
    program = """
        source <(celeriac completion bash)
        read -ra COMP_WORDS <<< "$1"; [[ $1 == *' ' ]] && COMP_WORDS+=('')
        COMP_LINE=$1 COMP_POINT=${#1} COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
        _python_argcomplete celeriac "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    env = here.environment()
    env["PATH"] = f"{CELERIAC.parent}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-c", program, "bash", typed],
        cwd=here.directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.stderr == ""
    return [word.strip() for word in done.stdout.splitlines() if word.strip()]
