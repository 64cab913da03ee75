"""The contract of a CWL runner: the output object on stdout, the rest on stderr, 0, 1 or 33 at the end."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "workflow.cwl"
#: Bounds on hangs, in seconds.
HANG = 120
STOP = 40

ECHO = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs:
  message: {type: string, inputBinding: {}}
outputs:
  out: stdout
stdout: out.txt
"""
CAT = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs:
  text: {type: File, inputBinding: {}}
outputs:
  out: stdout
stdout: out.txt
"""
CHAIN = """\
cwlVersion: v1.2
class: Workflow
inputs: {message: string}
outputs:
  first: {type: File, outputSource: say/out}
  second: {type: File, outputSource: copy/out}
steps:
  say: {run: echo.cwl, in: {message: message}, out: [out]}
  copy: {run: cat.cwl, in: {text: say/out}, out: [out]}
"""
GRAPH = """\
cwlVersion: v1.2
$graph:
- id: main
  class: Workflow
  inputs: {message: string}
  outputs: {out: {type: File, outputSource: say/out}}
  steps:
    say: {run: '#echo', in: {message: message}, out: [out]}
- id: echo
  class: CommandLineTool
  baseCommand: [echo, packed]
  inputs: {message: {type: string, inputBinding: {}}}
  outputs: {out: stdout}
  stdout: out.txt
"""
HALF = """\
cwlVersion: v1.2
class: Workflow
inputs: {}
outputs:
  good: {type: File, outputSource: good/out}
  bad: {type: File?, outputSource: bad/out}
steps:
  bad:
    in: {}
    out: [out]
    run:
      {class: CommandLineTool, baseCommand: [sh, -c, exit 3], inputs: {}, outputs: {out: stdout}, stdout: bad.txt}
  good:
    in: {}
    out: [out]
    run:
      {class: CommandLineTool, baseCommand: [echo, good], inputs: {}, outputs: {out: stdout}, stdout: good.txt}
"""
SLEEP = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'echo $$ > "$0.new"; mv "$0.new" "$0"; exec sleep 1000']
inputs:
  mark: {type: string, inputBinding: {}}
outputs: {}
"""


class Desk:
    """A working directory with documents, and the command."""

    def __init__(self, directory: Path, home: Path) -> None:
        self.directory = directory
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
        self.env["CELERIAC_HOME"] = str(home)
        for name, text in (("echo", ECHO), ("cat", CAT), ("chain", CHAIN), ("graph", GRAPH), ("half", HALF)):
            self.write(f"{name}.cwl", text)
        self.write("hello.yml", "message: hello\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def __call__(
        self, *words: str, code: int = 0, stdin: str = "", program: str = "celeriac"
    ) -> subprocess.CompletedProcess[str]:
        """Run `celeriac run WORDS`, or another program, and check its exit code."""
        command = [BIN / program, *(["run"] if program == "celeriac" else []), *words]
        done = subprocess.run(
            command, cwd=self.directory, env=self.env, input=stdin, capture_output=True, text=True, timeout=HANG
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def outputs(self, *words: str, **rest: Any) -> dict[str, Any]:
        """Run a document and return the output object."""
        found: dict[str, Any] = json.loads(self("--outdir", "results", *words, **rest).stdout)
        return found

    def text(self, *words: str, output: str = "out", **rest: Any) -> str:
        """Run a document and return the text of an output file."""
        return Path(self.outputs(*words, **rest)[output]["path"]).read_text()


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path, tmp_path_factory.getbasetemp() / "home")


# --- stdout, stderr, exit codes --------------------------------------------------------------------


def test_stdout_is_one_object_and_nothing_else(desk: Desk) -> None:
    done = desk("--outdir", "deep/results", "chain.cwl", "hello.yml")
    outputs = json.loads(done.stdout)
    assert set(outputs) == {"first", "second"}
    file = outputs["second"]
    assert Path(file["path"]) == desk.directory / "deep" / "results" / file["basename"]
    assert Path(file["path"]).read_text() == "hello\n"
    assert {name: file[name] for name in ("class", "size", "checksum", "location")} == {
        "class": "File",
        "size": 6,
        "checksum": "sha1$f572d396fae9206628714fb2ce00f72e94f2258f",
        "location": f"file://{file['path']}",
    }


def test_without_outdir_outputs_go_to_the_working_directory(desk: Desk) -> None:
    json.loads(desk("echo.cwl", "hello.yml").stdout)
    assert (desk.directory / "out.txt").read_text() == "hello\n"


def test_quiet_says_nothing(desk: Desk) -> None:
    assert desk("--quiet", "--outdir", "results", "chain.cwl", "hello.yml").stderr == ""


def test_progress_goes_to_stderr(desk: Desk) -> None:
    done = desk("--outdir", "results", "chain.cwl", "hello.yml")
    assert "chain.cwl" in done.stderr and "2 of 2 jobs" in done.stderr


def test_a_failed_tool_is_exit_1_without_outputs(desk: Desk) -> None:
    done = desk("--outdir", "results", "half.cwl", code=1)
    assert done.stdout == ""
    assert "bad" in done.stderr and "exit code 3" in done.stderr


def test_what_is_not_supported_is_exit_33(desk: Desk) -> None:
    desk.write("later.cwl", "cwlVersion: v1.2\nclass: Operation\ninputs: {}\noutputs: {}\n")
    assert desk("later.cwl", code=33).stdout == ""


def test_on_error_continue_gives_what_there_is(desk: Desk) -> None:
    outputs = desk.outputs("--on-error", "continue", "half.cwl", code=1)
    assert outputs["bad"] is None
    assert Path(outputs["good"]["path"]).read_text() == "good\n"


def test_help_names_the_options_of_the_contract(desk: Desk) -> None:
    said = desk("--help").stdout
    for option in (
        "--outdir --quiet --validate --print-deps --print-dot --make-template --pack --no-container"
        " --default-container --tmpdir-prefix --on-error --target --cachedir --no-reuse --eval-timeout"
        " --log-dir --leave-tmpdir --strict-memory-limit --podman"
    ).split():
        assert option in said


# --- documents -------------------------------------------------------------------------------------


def test_a_job_file_may_name_its_tool(desk: Desk) -> None:
    desk.write("jobs/job.yml", "cwl:tool: ../echo.cwl\nmessage: by name\n")
    assert desk.text("jobs/job.yml") == "by name\n"


def test_main_of_a_packed_document(desk: Desk) -> None:
    assert desk.text("graph.cwl", "hello.yml") == "packed hello\n"


def test_a_fragment_picks_a_process(desk: Desk) -> None:
    assert desk.text("graph.cwl#echo", "hello.yml") == "packed hello\n"


def test_what_pack_prints_runs(desk: Desk) -> None:
    desk.write("packed.json", desk("--pack", "chain.cwl").stdout)
    for name in ("chain.cwl", "echo.cwl", "cat.cwl"):
        (desk.directory / name).unlink()
    assert desk.text("packed.json", "hello.yml", output="second") == "hello\n"


@pytest.fixture
def web(desk: Desk) -> Iterator[str]:
    """The desk's files on a web server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=desk.directory)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_document_and_its_job_from_the_web(desk: Desk, web: str) -> None:
    assert desk.text(f"{web}/chain.cwl", f"{web}/hello.yml", output="second") == "hello\n"


def test_an_input_file_from_the_web(desk: Desk, web: str) -> None:
    desk.write("remote.yml", f"text: {{class: File, location: '{web}/hello.yml'}}\n")
    assert desk.text("cat.cwl", "remote.yml") == "message: hello\n"


# --- inputs ----------------------------------------------------------------------------------------


def test_a_job_on_stdin(desk: Desk) -> None:
    assert desk.text("cat.cwl", "-", stdin="text: {class: File, path: hello.yml}\n") == "message: hello\n"


def test_paths_start_at_the_job_file_or_at_basedir(desk: Desk) -> None:
    desk.write("data/note.txt", "a note\n")
    desk.write("data/job.yml", "text: {class: File, path: note.txt}\n")
    desk.write("job.yml", "text: {class: File, location: note.txt}\n")
    assert desk.text("cat.cwl", "data/job.yml") == "a note\n"
    assert desk.text("--basedir", "data", "cat.cwl", "--text", "note.txt") == "a note\n"


def test_inputs_as_flags(desk: Desk) -> None:
    desk.write("a name with # and %.txt", "odd\n")
    assert desk.text("echo.cwl", "--message", "by flag") == "by flag\n"
    assert desk.text("cat.cwl", "--text", "a name with # and %.txt") == "odd\n"
    assert desk.text("echo.cwl", "hello.yml", "--message", "the flag wins") == "the flag wins\n"


def test_the_inputs_of_a_document_in_its_help(desk: Desk) -> None:
    assert "--message MESSAGE" in desk("echo.cwl", "--help").stdout


def test_own_options_may_follow_a_job_file(desk: Desk) -> None:
    desk("echo.cwl", "hello.yml", "--outdir", "late", "--quiet")
    assert (desk.directory / "late" / "out.txt").exists()


# --- options ---------------------------------------------------------------------------------------


def test_no_container_turns_hints_off(desk: Desk) -> None:
    desk.write("hinted.cwl", ECHO + "hints: {DockerRequirement: {dockerPull: there-is-no-such-image}}\n")
    words = ("--no-container", "--default-container", "there-is-no-such-image-either")
    assert desk.text(*words, "hinted.cwl", "hello.yml") == "hello\n"


def test_validate_runs_nothing(desk: Desk) -> None:
    done = desk("--validate", "--outdir", "results", "chain.cwl")
    assert "chain.cwl is valid CWL" in done.stdout
    desk("--validate", "--outdir", "results", "chain.cwl", "hello.yml")
    assert not (desk.directory / "results").exists()
    desk.write("wrong.yml", "message: 3\n")
    assert "wrong.yml:1" in desk("--validate", "chain.cwl", "wrong.yml", code=1).stderr


def test_target_runs_only_what_is_needed(desk: Desk) -> None:
    outputs = desk.outputs("--target", "first", "chain.cwl", "hello.yml")
    assert set(outputs) == {"first"}


def test_work_directories_are_left_only_when_asked(desk: Desk) -> None:
    desk("--tmpdir-prefix", "scratch", "chain.cwl", "hello.yml")
    assert not list((desk.directory / "scratch").glob("*"))
    desk("--tmpdir-prefix", "scratch", "--leave-tmpdir", "chain.cwl", "hello.yml")
    (run,) = (desk.directory / "scratch").iterdir()
    assert len([entry for entry in run.iterdir() if entry.name.startswith(("say", "copy"))]) == 2


@pytest.mark.parametrize("face", ["--print-deps", "--make-template", "--pack", "--print-dot"])
def test_a_document_looks_as_in_cwltool(desk: Desk, face: str) -> None:
    ours = desk(face, str(QUICKSTART)).stdout
    theirs = desk("--quiet", face, str(QUICKSTART), program="cwltool").stdout
    assert theirs
    if face == "--print-dot":  # its lines are in no order
        ours, theirs = ("\n".join(sorted(text.splitlines())) for text in (ours, theirs))
    assert ours == theirs


# --- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_and_its_tool(desk: Desk, number: int, code: int) -> None:
    desk.write("sleep.cwl", SLEEP)
    mark = desk.directory / "pid"
    command = [BIN / "celeriac", "run", "sleep.cwl", "--mark", str(mark)]
    process = subprocess.Popen(
        command,
        cwd=desk.directory,
        env=desk.env,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=functools.partial(signal.signal, number, signal.SIG_DFL),  # a job in the background has it off
    )
    try:
        wait_for(lambda: mark.exists() or process.poll() is not None)
        process.send_signal(number)
        stdout, _ = process.communicate(timeout=STOP)
    finally:
        process.kill()
    assert (process.returncode, stdout) == (code, "")
    wait_for(lambda: not Path(f"/proc/{mark.read_text().strip()}").exists())


def wait_for(condition: Any) -> None:
    """Wait until something is so; fail when it takes too long."""
    end = time.monotonic() + STOP
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
