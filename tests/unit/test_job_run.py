"""What becomes of a job: exit codes, outputs, and what is whose fault."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celeriac.container.base import CancelToken, Command
from celeriac.container.stub import StubRunner
from celeriac.document.load import load
from celeriac.errors import (
    Cancelled,
    CommandNotFound,
    EngineUnreachable,
    ImageNotFound,
    KilledFromOutside,
    OutOfMemory,
    TimeLimitExceeded,
    UnsupportedError,
)
from celeriac.expression.evaluate import install
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.report import JobReport
from celeriac.job.request import JobRequest
from celeriac.job.run import JobRunner, MemorySigns
from celeriac.resources import Resources
from celeriac.settings import Settings
from celeriac.states import Outcome

Play = Callable[[Command], "int | None"]
DOCKER = {"class": "DockerRequirement", "dockerPull": "alpine"}
JAVASCRIPT = {"class": "InlineJavascriptRequirement"}


class Job:
    """Runs one tool once, with a function in its place."""

    def __init__(self, directory: Path) -> None:
        install()
        self.directory = directory
        self.place = Place(directory / "attempt")
        self.runner = StubRunner()
        self.token = CancelToken()
        self.request: dict[str, Any] = {}  # what else is asked of the job runner

    @property
    def command(self) -> Command:
        return self.runner.commands[0]

    def run(
        self, play: Play = lambda command: 0, options: RunOptions | None = None, inputs: Any = None, **fields: Any
    ) -> JobReport:
        """Run a tool of these fields."""
        document = {
            "cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": ["true"],
            "inputs": {}, "outputs": {}, **fields,
        }  # fmt: skip
        path = self.directory / "tool.cwl"
        path.write_text(json.dumps(document))
        self.runner = StubRunner(lambda command, cancel: play(command))
        request = JobRequest(
            tool=load(str(path)).process, inputs=inputs or {}, place=self.place, options=options or RunOptions(),
            name="attempt-id", title="the/step", labels={"celeriac.run": "r"}, **self.request,
        )  # fmt: skip
        signs = MemorySigns(frozenset({104}), Settings().oom_words)
        return JobRunner(lambda: self.runner, lambda: self.runner, signs).run(request, self.token)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


CODES = {"successCodes": [3], "temporaryFailCodes": [4], "permanentFailCodes": [5, 0]}


@pytest.mark.parametrize(
    ("code", "fields", "outcome"),
    [
        (0, {}, Outcome.SUCCESS),
        (1, {}, Outcome.PERMANENT),
        (255, {}, Outcome.PERMANENT),
        (-9, {}, Outcome.PERMANENT),
        (3, CODES, Outcome.SUCCESS),
        (4, CODES, Outcome.TEMPORARY),
        (5, CODES, Outcome.PERMANENT),
        (0, CODES, Outcome.PERMANENT),
        (6, CODES, Outcome.PERMANENT),
    ],
)
def test_exit_codes(job: Job, code: int, fields: dict[str, Any], outcome: Outcome) -> None:
    report = job.run(lambda command: code, **fields)
    assert (report.outcome, report.exit_code) == (outcome, code)
    assert (report.error is None) == (outcome is Outcome.SUCCESS)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KilledFromOutside("x"), Outcome.INFRASTRUCTURE),
        (EngineUnreachable("x"), Outcome.INFRASTRUCTURE),
        (Cancelled("x"), Outcome.CANCELED),
        (OutOfMemory("x"), Outcome.OUT_OF_MEMORY),
        (TimeLimitExceeded("x"), Outcome.PERMANENT),
        (ImageNotFound("x"), Outcome.PERMANENT),
    ],
)
def test_whose_fault_it_is(job: Job, error: Exception, outcome: Outcome) -> None:
    def play(command: Command) -> int:
        raise error

    report = job.run(play)
    assert report.outcome is outcome
    assert report.error is error


def test_the_end_of_standard_error_is_part_of_the_message(job: Job) -> None:
    def play(command: Command) -> int:
        command.stderr.write_text("noise\n" * 2000 + "the reason \udcff".encode("utf-8", "replace").decode())
        return 2

    report = job.run(play)
    assert "'the/step' ended with exit code 2" in str(report.error)
    assert "the reason" in str(report.error) and len(str(report.error)) < 3000
    assert report.error is not None
    fields = dict(report.error.fields)
    assert [Path(fields.pop(stream)).name for stream in ("stdout", "stderr")] == ["stdout.log", "stderr.log"]
    assert fields == {"exit_code": 2, "command": ["true"]}


def test_outputs_that_are_missing_are_the_step_s_failure(job: Job) -> None:
    report = job.run(outputs={"o": {"type": "File", "outputBinding": {"glob": "missing.txt"}}})
    assert report.outcome is Outcome.PERMANENT
    assert "the outputs of 'the/step' can't be collected" in str(report.error) and "missing.txt" in str(report.error)


def test_outputs_are_found(job: Job) -> None:
    def play(command: Command) -> int:
        Path(command.workdir, "a.txt").write_text("abc")
        command.stdout.write_text("said")
        return 0

    report = job.run(
        play, stdout="said.txt", outputs={"o": {"type": "File", "outputBinding": {"glob": "a.*"}}, "s": "stdout"}
    )
    assert report.outcome is Outcome.SUCCESS and report.outputs is not None
    assert report.outputs["o"]["size"] == 3 and report.outputs["o"]["checksum"].startswith("sha1$")
    assert report.outputs["s"]["basename"] == "said.txt"


def test_an_output_object_that_is_no_json_is_named(job: Job) -> None:
    def play(command: Command) -> int:
        Path(command.workdir, "cwl.output.json").write_text("{")
        return 0

    report = job.run(play, outputs={"o": "int"})
    assert report.outcome is Outcome.PERMANENT and "the outputs of 'the/step'" in str(report.error)


def test_an_expression_tool_runs_no_command(job: Job) -> None:
    fields = {"class": "ExpressionTool", "requirements": [JAVASCRIPT], "outputs": {"o": "int"}}
    path = job.directory / "e.cwl"
    path.write_text(
        json.dumps({"cwlVersion": "v1.2", "inputs": {"x": "int"}, "expression": "$({o: inputs.x * 2})", **fields})
    )
    request = JobRequest(load(str(path)).process, {"x": 4}, job.place, RunOptions(), "n", "t")
    report = JobRunner(lambda: job.runner, lambda: job.runner).run(request, job.token)
    assert (report.outcome, report.outputs, job.runner.commands) == (Outcome.SUCCESS, {"o": 8}, [])


def test_a_program_that_is_not_there_is_named_before_it_is_started(job: Job) -> None:
    report = job.run(baseCommand=["no-such-program"])
    assert isinstance(report.error, CommandNotFound) and "no-such-program" in str(report.error)
    assert job.runner.commands == []


def test_a_container_gets_what_it_was_granted_and_is_locked_down(job: Job) -> None:
    job.request = {"granted": Resources(2, 1024), "limited": True}
    assert job.run(requirements=[DOCKER]).outcome is Outcome.SUCCESS
    command = job.command
    assert command.container is not None
    assert (command.name, command.memory, command.cpus) == ("celeriac-attempt-id", 2**30, 2.0)
    assert (command.container.network, command.container.read_only) == ("none", True)
    assert command.container.labels == {"celeriac.run": "r"}
    assert command.container.image.name == "alpine"
    writable = {mount.target for mount in command.container.mounts if mount.writable}
    assert writable == {command.workdir, "/tmp"}
    assert command.env["HOME"] == command.workdir and command.env["TMPDIR"] == "/tmp"


def test_strict_limits_are_what_the_step_asked_for(job: Job) -> None:
    asks = {"class": "ResourceRequirement", "ramMin": 300, "coresMin": 1}
    options = RunOptions(strict_memory_limit=True, strict_cpu_limit=True)
    job.run(options=options, requirements=[DOCKER, asks])
    assert (job.command.memory, job.command.cpus) == (300 * 2**20, 1.0)


def test_what_is_no_limit_limits_nothing(job: Job) -> None:
    job.request = {"granted": Resources(1, 256)}
    job.run(requirements=[DOCKER])
    assert (job.command.memory, job.command.cpus) == (None, None)


@pytest.mark.parametrize("granted", [Resources(2, 1024), Resources(1.5, 300), Resources(1, 256)], ids=str)
@pytest.mark.parametrize("requirements", [[DOCKER], []], ids=["container", "process"])
def test_the_tool_is_told_what_it_has(job: Job, granted: Resources, requirements: list[Any]) -> None:
    """Rounded up where it is a fraction (CWL v1.2, Runtime environment); no 2.0 for 2."""
    job.request = {"granted": granted, "limited": True}
    arguments = ["$(runtime.cores)", "$(runtime.ram)"]
    asks = {"class": "ResourceRequirement", "ramMin": 100}
    job.run(requirements=[*requirements, asks], arguments=arguments)
    assert job.command.argv[-2:] == (str(math.ceil(granted.cpus)), str(granted.ram))
    assert (job.command.memory, job.command.cpus) == (granted.ram * 2**20, granted.cpus)


@pytest.mark.parametrize(
    ("own", "queue", "expected"), [(None, None, None), (30, None, 30), (None, 20.0, 20), (30, 20.0, 20), (10, 20.0, 10)]
)
def test_the_shorter_time_limit_holds(job: Job, own: int | None, queue: float | None, expected: float | None) -> None:
    job.request = {"max_runtime": queue, "queue": "short"}
    limit = [{"class": "ToolTimeLimit", "timelimit": own}] if own else []
    job.run(requirements=limit)
    assert job.command.time_limit == expected


def test_a_step_that_its_queue_ended_says_so(job: Job) -> None:
    job.request = {"max_runtime": 20.0, "queue": "short"}

    def too_long(command: Command) -> int:
        raise TimeLimitExceeded("too long", hint="raise the tool's ToolTimeLimit", limit=command.time_limit)

    report = job.run(too_long)
    assert report.outcome is Outcome.PERMANENT
    assert report.error is not None
    assert "queue short" in report.error.hint and "max_runtime" in report.error.hint


@pytest.mark.parametrize(
    ("code", "said", "outcome"),
    [
        (1, "MemoryError", Outcome.OUT_OF_MEMORY),
        (104, "", Outcome.OUT_OF_MEMORY),
        (1, "no such file", Outcome.PERMANENT),
        (0, "MemoryError was caught", Outcome.SUCCESS),
    ],
)
def test_a_tool_that_ends_by_itself_without_memory(job: Job, code: int, said: str, outcome: Outcome) -> None:
    job.request = {"granted": Resources(1, 512), "limited": True}

    def play(command: Command) -> int:
        command.stderr.write_text(said)
        return code

    report = job.run(play)
    assert report.outcome is outcome
    if outcome is Outcome.OUT_OF_MEMORY:
        assert isinstance(report.error, OutOfMemory)
        assert "it had 512 MiB" in report.error.message


def test_a_runner_s_error_speaks_of_the_step(job: Job) -> None:
    def named(command: Command) -> int:
        raise KilledFromOutside(f"'{command.name}' was ended by SIGKILL")

    def nameless(command: Command) -> int:
        raise EngineUnreachable("the engine does not answer")

    assert str(job.run(named).error) == "'the/step' was ended by SIGKILL"
    assert str(job.run(nameless).error) == "'the/step': the engine does not answer"


def test_what_a_tool_used_till_it_was_ended_is_kept(job: Job) -> None:
    def used(command: Command) -> int:
        raise OutOfMemory("too much", peak_memory=5 * 2**20, cpu_seconds=1.5, exit_code=137)

    report = job.run(used)
    assert (report.outcome, report.peak_memory, report.cpu_seconds) == (Outcome.OUT_OF_MEMORY, 5, 1.5)
    assert report.exit_code == 137


def test_network_and_time_limit_are_asked_for(job: Job) -> None:
    needs = [DOCKER, {"class": "NetworkAccess", "networkAccess": True}, {"class": "ToolTimeLimit", "timelimit": 7}]
    job.run(requirements=needs)
    assert job.command.container is not None
    assert (job.command.container.network, job.command.time_limit) == (None, 7)


def test_without_a_network_localhost_has_a_name(job: Job) -> None:
    job.request = {"own": str(job.place.root.parent / "run")}
    for _ in range(2):
        job.run(requirements=[DOCKER])
        assert job.command.container
        hosts = next(mount for mount in job.command.container.mounts if mount.target == "/etc/hosts")
        assert Path(hosts.source).read_text().startswith("127.0.0.1\tlocalhost\n")
        assert Path(hosts.source).stat().st_mode & 0o777 == 0o644 and not hosts.writable
        assert os.listdir(job.request["own"]) == ["hosts"]
    job.run(requirements=[DOCKER, {"class": "NetworkAccess", "networkAccess": True}])
    assert job.command.container
    assert all(mount.target != "/etc/hosts" for mount in job.command.container.mounts)


def test_containers_turned_off(job: Job) -> None:
    options = RunOptions(use_container=False)
    required = job.run(options=options, requirements=[DOCKER])
    assert isinstance(required.error, UnsupportedError) and "DockerRequirement" in str(required.error)
    assert job.run(options=options, hints=[DOCKER]).outcome is Outcome.SUCCESS
    assert job.command.container is None


def test_a_default_container(job: Job) -> None:
    job.run(options=RunOptions(default_container="bash:4.4"))
    assert job.command.container is not None and job.command.container.image.name == "bash:4.4"


def test_a_tool_cancelled_while_it_ended_well_reports_the_cancel(job: Job) -> None:
    def play(command: Command) -> int:
        job.token.cancel("the run is CANCELING")
        return 0

    report = job.run(play)
    assert report.outcome is Outcome.CANCELED


def test_an_empty_command_line_is_refused(job: Job) -> None:
    report = job.run(baseCommand=[])
    assert report.outcome is Outcome.PERMANENT and "is empty" in str(report.error)
