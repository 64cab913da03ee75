"""Plain processes: what is killed, what is told apart, what is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from celeriac.container.base import CancelToken, Command, ExitReport
from celeriac.container.process import ProcessRunner
from celeriac.container.procfs import stat
from celeriac.errors import Cancelled, CommandNotFound, ContainerError, KilledFromOutside, TimeLimitExceeded
from tests.unit.test_container_contract import HANG, wait_for

#: A child in a session of its own whose parent is gone: found by its mark alone.
DAEMON = "(setsid sleep 601 & echo $! > pid) </dev/null >/dev/null 2>&1; "
#: A child in a session of its own with no environment: found as a descendant alone.
STRANGER = "env -i setsid sleep 602 & echo $! > pid; "
#: A child in the group whose environment is empty: found by the group alone.
MATE = "(env -i sleep 603 & echo $! > pid); "


@pytest.fixture
def runner() -> Iterator[ProcessRunner]:
    runner = ProcessRunner(stop_grace=0.3)
    yield runner
    runner.close()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(
        name="test",
        argv=("true",),
        env={"PATH": os.environ["PATH"]},
        workdir=str(tmp_path),
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
    )


@pytest.fixture
def start(
    runner: ProcessRunner, command: Command, tmp_path: Path
) -> Iterator[Callable[[str, CancelToken], tuple[Future[ExitReport], int]]]:
    """Start a script that writes a process id to the file `pid`; return its future and that id."""

    def begin(script: str, token: CancelToken) -> tuple[Future[ExitReport], int]:
        future = pool.submit(runner.run, shell(command, script), token)
        file = tmp_path / "pid"
        wait_for(lambda: file.exists() and file.read_text().strip().isdigit())
        return future, int(file.read_text())

    with ThreadPoolExecutor() as pool:
        yield begin


def shell(command: Command, script: str) -> Command:
    return replace(command, argv=("sh", "-c", script))


def is_alive(pid: int) -> bool:
    found = stat(pid)
    return found is not None and found.is_alive


@pytest.mark.parametrize("child", [DAEMON, MATE], ids=["daemon", "mate"])
def test_what_a_tool_leaves_running_is_gone_after_its_end(
    runner: ProcessRunner, command: Command, tmp_path: Path, child: str
) -> None:
    assert runner.run(shell(command, child + "exit 3"), CancelToken()).exit_code == 3
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_closing_the_runner_ends_what_tools_left(runner: ProcessRunner, command: Command, tmp_path: Path) -> None:
    runner.run(shell(command, DAEMON), CancelToken())
    runner.close()
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


@pytest.mark.parametrize("child", [DAEMON, MATE, STRANGER], ids=["daemon", "mate", "stranger"])
@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["gentle", "ignores SIGTERM"])
def test_a_cancel_ends_the_whole_tree(
    start: Callable[[str, CancelToken], tuple[Future[ExitReport], int]], child: str, trap: str
) -> None:
    token = CancelToken()
    future, pid = start(f"{child}{trap}while :; do sleep 0.1; done", token)
    token.cancel("enough")
    with pytest.raises(Cancelled):
        future.result(HANG)
    wait_for(lambda: not is_alive(pid))


def test_the_time_limit_ends_the_whole_tree(runner: ProcessRunner, command: Command, tmp_path: Path) -> None:
    script = DAEMON + "trap '' TERM; while :; do sleep 0.1; done"
    with pytest.raises(TimeLimitExceeded):
        runner.run(replace(shell(command, script), time_limit=0.3), CancelToken())
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_an_exception_in_the_waiting_thread_ends_the_tool(tmp_path: Path) -> None:
    """As a worker's SIGTERM does: SystemExit comes out of the wait."""
    code = f"""
import signal, sys
from pathlib import Path
from celeriac.container.base import CancelToken, Command
from celeriac.container.process import ProcessRunner
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
here = Path({str(tmp_path)!r})
argv = ("sh", "-c", "echo $$ > pid; exec sleep 604")
command = Command("x", argv, {{"PATH": "/usr/bin:/bin"}}, str(here), here / "out", here / "err")
ProcessRunner().run(command, CancelToken())
"""
    worker = subprocess.Popen([sys.executable, "-c", code])
    file = tmp_path / "pid"
    wait_for(lambda: file.exists() and file.read_text().strip().isdigit())
    worker.terminate()
    assert worker.wait(HANG) == 5
    assert not is_alive(int(file.read_text()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_from_outside_is_told_from_the_tools_own_failure(
    start: Callable[[str, CancelToken], tuple[Future[ExitReport], int]], number: signal.Signals
) -> None:
    future, pid = start("echo $$ > pid; exec sleep 605", CancelToken())
    os.kill(pid, number)
    with pytest.raises(KilledFromOutside, match=number.name) as caught:
        future.result(HANG)
    assert caught.value.fields["signal"] == number


def test_a_shell_that_tells_of_a_killed_child_has_an_exit_code(runner: ProcessRunner, command: Command) -> None:
    assert runner.run(shell(command, "sh -c 'kill -9 $$'; exit $?"), CancelToken()).exit_code == 137


def test_programs_that_cant_be_run(runner: ProcessRunner, command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    (tmp_path / "bare").write_text("no first line")
    (tmp_path / "bare").chmod(0o755)
    (tmp_path / "lost").write_text("#!/no/such/interpreter\n")
    (tmp_path / "lost").chmod(0o755)
    for name, why in (("data", "executed"), ("bare", "#!"), ("lost", "not found"), ("none", "not found")):
        with pytest.raises(CommandNotFound, match=why) as caught:
            runner.run(replace(command, argv=(str(tmp_path / name),)), CancelToken())
        assert caught.value.fields["program"].endswith(name)
    assert (tmp_path / "err").read_bytes() == b""


def test_a_working_directory_that_is_not_there(runner: ProcessRunner, command: Command) -> None:
    with pytest.raises(ContainerError, match="/no/such/place") as caught:
        runner.run(replace(command, workdir="/no/such/place"), CancelToken())
    assert not isinstance(caught.value, CommandNotFound)


def test_arguments_that_are_too_long(runner: ProcessRunner, command: Command) -> None:
    with pytest.raises(ContainerError, match="too long"):
        runner.run(replace(command, argv=("true", "x" * 2**20)), CancelToken())


def test_what_it_used(runner: ProcessRunner, command: Command) -> None:
    size = 2 * psutil.Process().memory_info().rss + 200 * 2**20
    code = f"b = b'x' * {size}; sum(range(10**6))"
    report = runner.run(replace(command, argv=(sys.executable, "-c", code)), CancelToken())
    assert report.peak_memory is not None and report.peak_memory >= size
    assert report.cpu_seconds is not None and report.cpu_seconds > 0


def test_a_peak_that_may_be_our_own_is_not_told(runner: ProcessRunner, command: Command) -> None:
    assert runner.run(command, CancelToken()).peak_memory is None


def test_a_process_that_somebody_else_reaps(
    start: Callable[[str, CancelToken], tuple[Future[ExitReport], int]],
) -> None:
    future, pid = start("echo $$ > pid; exec sleep 0.3", CancelToken())
    threading.Thread(target=os.waitpid, args=(pid, 0)).start()
    try:
        assert future.result(HANG).exit_code == 0  # we were first
    except KilledFromOutside as error:
        assert "reaped" in str(error)


def test_without_pidfds_a_thread_waits(
    runner: ProcessRunner, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", absent)
    assert runner.run(shell(command, DAEMON + "sleep 0.2; exit 4"), CancelToken()).exit_code == 4
    with pytest.raises(TimeLimitExceeded):
        runner.run(replace(command, argv=("sleep", "606"), time_limit=0.2), CancelToken())
    assert not [p for p in psutil.Process().children() if "sleep" in p.name()]


def test_output_is_there_while_the_tool_runs(
    start: Callable[[str, CancelToken], tuple[Future[ExitReport], int]], command: Command
) -> None:
    token = CancelToken()
    future, _ = start("echo $$ > pid; echo now; exec sleep 607", token)
    wait_for(lambda: command.stdout.read_text() == "now\n")
    token.cancel("seen")
    with pytest.raises(Cancelled):
        future.result(HANG)


def test_a_cancel_races_with_the_end(runner: ProcessRunner, command: Command) -> None:
    for delay in range(20):
        token = CancelToken()
        timer = threading.Timer(delay / 4000, token.cancel, ["now"])
        timer.start()
        try:
            assert runner.run(replace(command, argv=("true",)), token).exit_code == 0
        except Cancelled:
            pass
        timer.join()
    time.sleep(0)
    assert not [p for p in psutil.Process().children() if p.name() == "true"]
