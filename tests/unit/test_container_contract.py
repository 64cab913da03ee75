"""What every runner keeps to: the same tests over the stub and plain processes, and over Docker elsewhere."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from celeriac.container.base import CancelToken, Command, ContainerSpec, Image, Runner
from celeriac.container.process import ProcessRunner
from celeriac.container.stub import StubRunner
from celeriac.errors import Cancelled, CommandNotFound, ContainerError, KilledFromOutside, TimeLimitExceeded

#: A bound on a hang, not a measure of speed.
HANG = 60.0


@dataclass(frozen=True)
class Script:
    """A tool, once as a shell script and once as the function that a stub plays."""

    shell: str
    play: Callable[[Command, CancelToken], int]


def _write(code: int, stdout: bytes = b"", stderr: bytes = b"") -> Callable[[Command, CancelToken], int]:
    def play(command: Command, cancel: CancelToken) -> int:
        with open(command.stdout, "ab") as out, open(command.stderr, "ab") as err:
            out.write(stdout)
            err.write(stderr)
        return code

    return play


def _copy(command: Command, cancel: CancelToken) -> int:
    with open(command.stdout, "ab") as out:
        out.write(command.stdin.read_bytes() if command.stdin else b"")
    return 0


def _environment(command: Command, cancel: CancelToken) -> int:
    return _write(0, f"{command.env['WHO']} in {command.workdir}\n".encode())(command, cancel)


def _linger(command: Command, cancel: CancelToken) -> int:
    _write(0, b"ready\n")(command, cancel)
    assert cancel.wait(HANG)
    return 143


def _absent(command: Command, cancel: CancelToken) -> int:
    raise CommandNotFound("no such program", program=command.argv[0])


BOTH = Script("echo out; echo err >&2; exit 7", _write(7, b"out\n", b"err\n"))
NOTHING = Script("exit 0", _write(0))
SIGNAL_CODE = Script("exit 9", _write(9))
COPY = Script("cat", _copy)
ENVIRONMENT = Script('echo "$WHO in $(pwd)"', _environment)
BYTES = Script(
    r"""printf '\000\001\377\r\n\200end'; printf '\377\000' >&2""",
    _write(0, b"\0\1\377\r\n\200end", b"\377\0"),
)
LINGER = Script("echo ready; exec sleep 600", _linger)
STUBBORN = Script("trap '' TERM; echo ready; while :; do sleep 1; done", _linger)
SCRIPTS = (BOTH, NOTHING, SIGNAL_CODE, COPY, ENVIRONMENT, BYTES, LINGER, STUBBORN)


def play(command: Command, cancel: CancelToken) -> int:
    """Play the function of a command's script: what the stub of these tests does."""
    for script in SCRIPTS:
        if command.argv[-1] == script.shell:
            return script.play(command, cancel)
    return _absent(command, cancel)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@contextmanager
def _ending(token: CancelToken) -> Iterator[None]:
    """End what runs in any case: a pool waits for its threads, and Python's exit for those of all pools."""
    try:
        yield
    finally:
        token.cancel("the test is over")


class RunnerContract:
    """The tests. A subclass gives the fixture ``runner`` and, for containers, ``spec``."""

    @pytest.fixture
    def spec(self) -> ContainerSpec | None:
        return None

    @pytest.fixture
    def command(self, tmp_path: Path, request: pytest.FixtureRequest, spec: ContainerSpec | None) -> Command:
        return Command(
            name=f"test-{request.node.originalname}-{time.monotonic_ns()}",
            argv=("sh", "-c", "exit 0"),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "WHO": "me"},
            workdir="/tmp" if spec else str(tmp_path),
            stdout=tmp_path / "stdout.txt",
            stderr=tmp_path / "stderr.txt",
            container=spec,
        )

    @staticmethod
    def of(command: Command, script: Script, **changes: object) -> Command:
        return replace(command, argv=("sh", "-c", script.shell), **changes)  # type: ignore[arg-type]

    def test_the_exit_code_and_both_streams_are_the_tools(self, runner: Runner, command: Command) -> None:
        report = runner.run(self.of(command, BOTH), CancelToken())
        assert report.exit_code == 7
        assert report.seconds >= 0
        assert command.stdout.read_bytes() == b"out\n"
        assert command.stderr.read_bytes() == b"err\n"

    def test_small_exit_codes_are_no_signals(self, runner: Runner, command: Command) -> None:
        assert runner.run(self.of(command, SIGNAL_CODE), CancelToken()).exit_code == 9

    def test_streams_are_made_anew_and_there_even_if_empty(self, runner: Runner, command: Command) -> None:
        command.stdout.write_text("of the last attempt")
        runner.run(self.of(command, NOTHING), CancelToken())
        assert command.stdout.read_bytes() == b"" == command.stderr.read_bytes()

    def test_bytes_are_exact(self, runner: Runner, command: Command) -> None:
        runner.run(self.of(command, BYTES), CancelToken())
        assert command.stdout.read_bytes() == b"\0\1\377\r\n\200end"
        assert command.stderr.read_bytes() == b"\377\0"

    def test_both_streams_may_be_one_file(self, runner: Runner, command: Command) -> None:
        runner.run(self.of(command, BOTH, stderr=command.stdout), CancelToken())
        assert sorted(command.stdout.read_text().split()) == ["err", "out"]

    def test_standard_input_is_the_file(self, runner: Runner, command: Command, tmp_path: Path) -> None:
        data = bytes(range(256)) * 4096
        (tmp_path / "in").write_bytes(data)
        assert runner.run(self.of(command, COPY, stdin=tmp_path / "in"), CancelToken()).exit_code == 0
        assert command.stdout.read_bytes() == data

    def test_standard_input_is_empty_without_a_file(self, runner: Runner, command: Command) -> None:
        assert runner.run(self.of(command, COPY), CancelToken()).exit_code == 0
        assert command.stdout.read_bytes() == b""

    def test_an_input_that_is_not_there_is_named(self, runner: Runner, command: Command, tmp_path: Path) -> None:
        with pytest.raises(ContainerError, match="nowhere"):
            runner.run(self.of(command, COPY, stdin=tmp_path / "nowhere"), CancelToken())

    def test_an_output_that_cant_be_written_is_named(self, runner: Runner, command: Command, tmp_path: Path) -> None:
        with pytest.raises(ContainerError, match="nowhere"):
            runner.run(self.of(command, BOTH, stdout=tmp_path / "nowhere" / "out"), CancelToken())

    def test_environment_and_working_directory(self, runner: Runner, command: Command) -> None:
        runner.run(self.of(command, ENVIRONMENT), CancelToken())
        assert command.stdout.read_text() == f"me in {command.workdir}\n"

    def test_a_program_that_is_not_there_is_named(self, runner: Runner, command: Command) -> None:
        with pytest.raises(CommandNotFound) as caught:
            runner.run(replace(command, argv=("no-such-program", "x")), CancelToken())
        assert caught.value.fields["program"] == "no-such-program"

    def test_the_time_limit_ends_it(self, runner: Runner, command: Command) -> None:
        with pytest.raises(TimeLimitExceeded) as caught:
            runner.run(self.of(command, LINGER, time_limit=0.5), CancelToken())
        assert caught.value.fields["limit"] == 0.5

    @pytest.mark.parametrize("limit", [0, None, HANG])
    def test_a_time_limit_that_is_none_or_not_reached(
        self, runner: Runner, command: Command, limit: float | None
    ) -> None:
        assert runner.run(self.of(command, NOTHING, time_limit=limit), CancelToken()).exit_code == 0

    @pytest.mark.parametrize("script", [LINGER, STUBBORN], ids=["gentle", "ignores SIGTERM"])
    def test_cancel_ends_it(self, runner: Runner, command: Command, script: Script) -> None:
        token = CancelToken()
        with ThreadPoolExecutor() as pool, _ending(token):
            running = pool.submit(runner.run, self.of(command, script), token)
            wait_for(lambda: command.stdout.exists() and command.stdout.read_bytes() == b"ready\n")
            token.cancel("the user asked")
            with pytest.raises(Cancelled) as caught:
                running.result(HANG)
        assert caught.value.fields["reason"] == "the user asked"

    def test_what_was_cancelled_before_never_starts(self, runner: Runner, command: Command) -> None:
        token = CancelToken()
        token.cancel("too late")
        with pytest.raises(Cancelled):
            runner.run(self.of(command, BOTH), token)
        assert not command.stdout.exists()

    def test_no_image_is_prepared_for_what_was_cancelled(self, runner: Runner) -> None:
        token = CancelToken()
        token.cancel("too late")
        with pytest.raises(Cancelled):
            runner.prepare(Image("alpine"), allow_pull=True, force_pull=False, cancel=token)

    def test_a_cancel_after_the_end_changes_nothing(self, runner: Runner, command: Command) -> None:
        token = CancelToken()
        assert runner.run(self.of(command, BOTH), token).exit_code == 7
        token.cancel("too late")

    def test_many_at_a_time(self, runner: Runner, command: Command, tmp_path: Path) -> None:
        def one(number: int) -> tuple[int, str]:
            mine = self.of(command, BOTH, name=f"{command.name}-{number}", stdout=tmp_path / f"out{number}")
            mine = replace(mine, stderr=tmp_path / f"err{number}")
            return runner.run(mine, CancelToken()).exit_code, mine.stdout.read_text()

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(one, range(12))) == [(7, "out\n")] * 12

    def test_nothing_is_left_of_what_never_ran_or_has_ended(self, runner: Runner, command: Command) -> None:
        assert runner.clear(command.name)
        runner.run(self.of(command, NOTHING), CancelToken())
        assert runner.clear(command.name)

    @pytest.mark.parametrize("script", [LINGER, STUBBORN], ids=["gentle", "ignores SIGTERM"])
    def test_what_is_cleared_ends_and_is_no_failure_of_the_tool(
        self, runner: Runner, command: Command, script: Script
    ) -> None:
        other = replace(command, name=f"{command.name}-other", stdout=command.stdout.with_name("other"))
        token = CancelToken()
        with ThreadPoolExecutor() as pool, _ending(token):
            running = [pool.submit(runner.run, self.of(one, script), token) for one in (command, other)]
            for one in (command, other):
                wait_for(lambda file=one.stdout: file.exists() and file.read_bytes() == b"ready\n")
            assert runner.clear(command.name)
            with pytest.raises(KilledFromOutside):
                running[0].result(HANG)
            assert not running[1].done()
            token.cancel("seen")
            with pytest.raises(Cancelled):
                running[1].result(HANG)

    def test_nothing_of_it_stays_in_this_process(self, runner: Runner, command: Command) -> None:
        for number in range(2):  # what is opened once, some of it with the second
            runner.run(self.of(command, NOTHING, name=f"{command.name}-first-{number}"), CancelToken())
        threads, files = threading.active_count(), _open_files()
        for number in range(3):
            runner.run(self.of(command, NOTHING, name=f"{command.name}-{number}"), CancelToken())
        wait_for(lambda: threading.active_count() <= threads)
        assert _open_files() <= files


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestStub(RunnerContract):
    @pytest.fixture
    def runner(self) -> Iterator[Runner]:
        yield StubRunner(play)


class TestProcess(RunnerContract):
    @pytest.fixture
    def runner(self) -> Iterator[Runner]:
        yield ProcessRunner(stop_grace=0.5)

    def test_a_signal_is_a_negative_exit_code(self, runner: Runner, command: Command) -> None:
        report = runner.run(replace(command, argv=("sh", "-c", "kill -SEGV $$")), CancelToken())
        assert report.exit_code == -signal.SIGSEGV
