"""Plain processes under limits of memory and CPUs: cgroups of this host, and what there is without them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from celeriac.container.base import CancelToken, Command
from celeriac.container.cgroup.hierarchy import hierarchies
from celeriac.container.cgroup.tools import PREFIX, ToolGroups
from celeriac.container.process import ProcessRunner
from celeriac.container.procfs import stat
from celeriac.errors import Cancelled, CommandNotFound, KilledFromOutside, OutOfMemory, TimeLimitExceeded
from tests.services.require import require
from tests.unit.test_container_contract import HANG, wait_for

MIB = 2**20
#: Takes that many MiB, says so, and ends well.
TAKE = "b = bytearray({} << 20); print('taken', flush=True)"


def _groups(pid: int) -> set[str]:
    """The groups that are there now of the tools of a worker; others may run tools beside us."""
    return {
        f"{tree.own}/{name}"
        for tree in hierarchies().values()
        for name in (os.listdir(tree.own) if os.path.isdir(tree.own) else ())
        if name.startswith(PREFIX) and name.split(".")[2] == str(pid)
    }


@pytest.fixture
def limited() -> Iterator[ProcessRunner]:
    group, problems = ToolGroups().make("trial", memory=64 * MIB, cpus=1)
    if group:
        group.remove()
    require(f"this host lets us make no cgroup with limits: {problems}", not problems)
    runner = ProcessRunner(stop_grace=0.3)
    yield runner
    runner.close()
    assert not _groups(os.getpid()), "a cgroup is left"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(
        name=f"test-{tmp_path.name}",
        argv=("true",),
        env={"PATH": os.environ["PATH"]},
        workdir=str(tmp_path),
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        memory=64 * MIB,
    )


def shell(command: Command, script: str) -> Command:
    return replace(command, argv=("sh", "-c", script))


def python(command: Command, code: str, **changes: object) -> Command:
    return replace(command, argv=(sys.executable, "-c", code), **changes)  # type: ignore[arg-type]


# --- memory ----------------------------------------------------------------------------------------


def test_too_much_memory_is_an_error_with_the_facts(limited: ProcessRunner, command: Command) -> None:
    with pytest.raises(OutOfMemory, match="64 MiB") as caught:
        limited.run(python(command, TAKE.format(200)), CancelToken())
    fields = caught.value.fields
    assert (fields["limit"], fields["peak_memory"], fields["exit_code"]) == (64 * MIB, 64 * MIB, -9)
    assert fields["cpu_seconds"] > 0
    assert "used 64 MiB" in caught.value.hint and "had 64 MiB" in caught.value.hint
    assert command.stdout.read_text() == ""


def test_the_same_tool_with_enough(limited: ProcessRunner, command: Command) -> None:
    report = limited.run(python(command, TAKE.format(200), memory=400 * MIB), CancelToken())
    assert report.exit_code == 0
    assert report.peak_memory is not None and 200 * MIB <= report.peak_memory < 260 * MIB
    assert report.cpu_seconds is not None and report.cpu_seconds > 0


def test_the_sum_of_the_processes_counts(limited: ProcessRunner, command: Command) -> None:
    one = f'"{sys.executable}" -c "b = bytearray(40 << 20); import time; time.sleep(2)"'
    with pytest.raises(OutOfMemory):
        limited.run(shell(command, f"{one} & {one} & wait %1 && wait %2"), CancelToken())


def test_a_child_out_of_memory_is_the_tools_own_affair(limited: ProcessRunner, command: Command) -> None:
    child = f"\"{sys.executable}\" -c '{TAKE.format(200)}'".replace("'taken'", "1")
    assert limited.run(shell(command, f"{child}; exit 0"), CancelToken()).exit_code == 0
    with pytest.raises(OutOfMemory) as caught:
        limited.run(shell(command, f"{child}; exit 5"), CancelToken())
    assert caught.value.fields["exit_code"] == 5


def test_the_page_cache_is_no_need(limited: ProcessRunner, command: Command, tmp_path: Path) -> None:
    script = "dd if=/dev/zero of=large bs=1M count=150 2>/dev/null; cat large >/dev/null; sleep 0.3"
    report = limited.run(shell(replace(command, memory=512 * MIB), script), CancelToken())
    assert report.peak_memory is not None and report.peak_memory < 50 * MIB


def test_a_kill_is_no_lack_of_memory(limited: ProcessRunner, command: Command) -> None:
    with pytest.raises(KilledFromOutside) as caught:
        limited.run(shell(command, "kill -9 $$"), CancelToken())
    assert caught.value.fields["exit_code"] == -9
    assert caught.value.fields.get("peak_memory", 1) > 0


def test_what_was_ended_tells_what_it_used(limited: ProcessRunner, command: Command) -> None:
    code = TAKE.format(30) + "; import time; time.sleep(600)"
    with pytest.raises(TimeLimitExceeded) as caught:
        limited.run(python(command, code, time_limit=2), CancelToken())
    assert 30 * MIB <= caught.value.fields["peak_memory"] <= 64 * MIB
    assert caught.value.fields["cpu_seconds"] > 0


# --- CPUs ------------------------------------------------------------------------------------------


def test_cpu_time_is_limited(limited: ProcessRunner, command: Command) -> None:
    """Two loops for two seconds: without a limit they would have used about as long as two CPUs have."""
    script = "(while :; do :; done) & (while :; do :; done) & sleep 2; kill %1 %2"
    report = limited.run(shell(replace(command, cpus=0.2, memory=None), script), CancelToken())
    assert report.cpu_seconds is not None
    assert report.cpu_seconds < 0.3 * report.seconds


# --- what is in it ---------------------------------------------------------------------------------


def test_children_made_at_once_are_in_it(limited: ProcessRunner, command: Command) -> None:
    """They may have been made before their parent was put into the group."""
    script = "for i in 1 2 3 4 5 6 7 8; do sh -c 'sleep 0.3; cat /proc/self/cgroup' & done; wait"
    limited.run(shell(command, script), CancelToken())
    lines = [line for line in command.stdout.read_text().splitlines() if ":memory:" in line]
    assert len(lines) == 8 and all(PREFIX in line for line in lines)


def test_no_process_is_outside(limited: ProcessRunner, command: Command, tmp_path: Path) -> None:
    script = "sleep 601 & sleep 601 & setsid sleep 601 & echo $! > pid; wait"
    token = CancelToken()
    with ThreadPoolExecutor() as pool:
        for number in range(5):
            (tmp_path / "pid").unlink(missing_ok=True)
            token = CancelToken()
            named = replace(command, name=f"{command.name}-{number}", cpus=1.0)
            future = pool.submit(limited.run, shell(named, script), token)
            wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip().isdigit())
            stray = int((tmp_path / "pid").read_text())
            for controller in ("memory", "cpu"):
                wait_for(lambda pid=stray, name=controller: PREFIX in hierarchies(pid=pid)[name].own)
            token.cancel("seen")
            with pytest.raises(Cancelled):
                future.result(HANG)


def test_a_process_that_hides_is_ended_with_its_group(limited: ProcessRunner, command: Command, tmp_path: Path) -> None:
    """No mark, no parent, no session: the group alone knows it."""
    hidden = "sleep 0.1; (env -i setsid sleep 602 & echo $! > pid) </dev/null >/dev/null 2>&1; sleep 0.2; exit 3"
    assert limited.run(shell(command, hidden), CancelToken()).exit_code == 3
    wait_for(lambda: not _alive(int((tmp_path / "pid").read_text())))


def test_a_program_that_is_not_there_leaves_no_group(limited: ProcessRunner, command: Command) -> None:
    with pytest.raises(CommandNotFound):
        limited.run(replace(command, argv=("/no/such/program",)), CancelToken())


def test_no_limits_no_group(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a group was made")

    monkeypatch.setattr(ToolGroups, "make", never)
    assert ProcessRunner().run(replace(command, memory=None, cpus=None), CancelToken()).exit_code == 0


# --- dead workers ----------------------------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
from celeriac.container.base import CancelToken, Command
from celeriac.container.process import ProcessRunner
here, name, memory = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) or None
script = "sleep 0.5; (env -i setsid sleep 603 & echo $! > hidden); setsid sleep 603 & echo $$ > pid; exec sleep 603"
command = Command(name, ("sh", "-c", script), {"PATH": "/usr/bin:/bin"}, str(here), here / "out", here / "err",
                  memory=memory)
ProcessRunner().run(command, CancelToken())
"""


def _killed_worker(tmp_path: Path, name: str, memory: int) -> list[int]:
    """Start a worker and kill it while its tool runs; return its number and those that it leaves."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), name, str(memory)])
    file = tmp_path / "pid"
    wait_for(lambda: file.exists() and file.read_text().strip().isdigit())
    worker.kill()
    worker.wait(HANG)
    return [worker.pid, *(int((tmp_path / part).read_text()) for part in ("pid", "hidden"))]


def _alive(pid: int) -> bool:
    found = stat(pid)
    return found is not None and found.is_alive


def test_what_a_killed_worker_left_can_be_cleared(limited: ProcessRunner, tmp_path: Path) -> None:
    worker, *left = _killed_worker(tmp_path, "the-lost-one", 64 * MIB)
    assert _groups(worker)
    assert all(map(_alive, left))
    assert limited.clear("the-lost-on") and limited.clear("he-lost-one") and all(map(_alive, left)), "other names"
    assert limited.clear("the-lost-one")
    wait_for(lambda: not any(map(_alive, left)))
    assert not _groups(worker)
    assert limited.clear("the-lost-one"), "twice is no error"


def test_what_a_killed_worker_left_without_a_group_can_be_cleared(tmp_path: Path) -> None:
    _, pid, hidden = _killed_worker(tmp_path, "the-lost:two", 0)
    try:
        assert ProcessRunner().clear("the-lost:two")
        assert not _alive(pid)
    finally:
        os.kill(hidden, 9)  # no mark, no session, no group: nobody can tell whose it is


def test_the_groups_of_killed_workers_go_when_a_new_one_is_made(
    limited: ProcessRunner, command: Command, tmp_path: Path
) -> None:
    worker, *left = _killed_worker(tmp_path, "the-lost-three", 64 * MIB)
    assert limited.run(command, CancelToken()).exit_code == 0
    wait_for(lambda: not any(map(_alive, left)))
    assert not _groups(worker)


# --- no cgroups ------------------------------------------------------------------------------------


@pytest.fixture
def unlimited(tmp_path: Path) -> ProcessRunner:
    return ProcessRunner(groups=ToolGroups(proc=str(tmp_path / "no-proc")))


def test_without_cgroups_each_process_has_its_limit_and_the_log_says_so(
    unlimited: ProcessRunner, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    command = replace(command, cpus=1.0)
    for _ in range(2):
        assert unlimited.run(python(command, TAKE.format(8)), CancelToken()).exit_code == 0
        assert unlimited.run(python(command, TAKE.format(200)), CancelToken()).exit_code == 1
    assert "MemoryError" in command.stderr.read_text()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "memory" in said[0] and "CPUs" in said[1]
    assert all("no such cgroup controller" in line and "Delegate=yes" in line for line in said)
