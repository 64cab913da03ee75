"""Containers of a real engine: what they may, how they end, what is left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from celeriac.container.base import (
    CancelToken,
    Command,
    ContainerSpec,
    ExitReport,
    Image,
    Mount,
)
from celeriac.container.docker import DockerRunner
from celeriac.container.owner import owner_labels
from celeriac.errors import (
    Cancelled,
    CommandNotFound,
    ContainerError,
    DiskFull,
    EngineUnreachable,
    ImageNotFound,
    KilledFromOutside,
    MountRefused,
    NameTaken,
    OutOfMemory,
    TimeLimitExceeded,
)
from tests.unit.test_container_contract import HANG, wait_for

MIB = 2**20


@pytest.fixture
def runner(docker_engine: str) -> Iterator[DockerRunner]:
    runner = DockerRunner(docker_engine, stop_grace=0.5)
    yield runner
    runner.close()


@pytest.fixture
def spec(engine: docker.APIClient, docker_images: dict[str, str]) -> Iterator[ContainerSpec]:
    run = f"test-{time.monotonic_ns()}"
    yield ContainerSpec(image=Image("alpine"), labels={"celeriac.run": run})
    assert not engine.containers(all=True, filters={"label": f"celeriac.run={run}"}), "a container is left"


@pytest.fixture
def command(tmp_path: Path, spec: ContainerSpec) -> Command:
    return Command(
        name=f"test-{time.monotonic_ns()}",
        argv=("true",),
        env={},
        workdir="/tmp",
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        container=spec,
    )


def shell(command: Command, script: str, **spec: object) -> Command:
    assert command.container
    changed = replace(command.container, **spec)  # type: ignore[arg-type]
    return replace(command, argv=("sh", "-c", script), container=changed)


Start = Callable[[Command, CancelToken], "Future[ExitReport]"]


@pytest.fixture
def start(runner: DockerRunner) -> Iterator[Start]:
    """Run a command that writes ``ready``; return when it has."""

    def begin(command: Command, token: CancelToken) -> Future[ExitReport]:
        future = pool.submit(runner.run, command, token)
        wait_for(lambda: future.done() or (command.stdout.exists() and b"ready" in command.stdout.read_bytes()))
        return future

    with ThreadPoolExecutor() as pool:
        yield begin


# --- what it may -----------------------------------------------------------------------------------


def test_no_network_unless_asked(runner: DockerRunner, command: Command) -> None:
    interfaces = "tail -n +3 /proc/net/dev | cut -d: -f1"
    runner.run(shell(command, interfaces), CancelToken())
    assert command.stdout.read_text().split() == ["lo"]
    runner.run(shell(command, interfaces, network=None), CancelToken())
    assert "eth0" in command.stdout.read_text().split()
    runner.run(shell(command, interfaces, network="none"), CancelToken())
    assert command.stdout.read_text().split() == ["lo"]


def test_without_a_network_there_is_a_namespace_of_its_own_with_localhost(
    runner: DockerRunner, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    script = """
        readlink /proc/self/ns/net; wc -l < /proc/net/route; cat /etc/hostname; hostname
        (echo heard | nc -l -p 8000 > /dev/null) &
        until [ "$got" ]; do sleep 0.1; got=$(nc localhost 8000 < /dev/null 2> /dev/null); done; echo $got
    """
    mounts = (Mount(str(tmp_path / "hosts"), "/etc/hosts"),)
    runner.run(shell(replace(command, time_limit=HANG), script, mounts=mounts), CancelToken())
    namespace, routes, told, name, heard = command.stdout.read_text().split()
    assert namespace != os.readlink("/proc/self/ns/net")
    assert (routes, told, heard) == ("1", name, "heard"), "no route but the table's heading"


def test_a_network_that_is_not_there_is_named(runner: DockerRunner, command: Command) -> None:
    with pytest.raises(ContainerError, match="no-such-net"):
        runner.run(shell(command, "true", network="no-such-net"), CancelToken())


def test_the_root_is_read_only_unless_asked(runner: DockerRunner, command: Command) -> None:
    assert runner.run(shell(command, "echo x > /x"), CancelToken()).exit_code != 0
    assert "ead-only" in command.stderr.read_text()
    assert runner.run(shell(command, "echo x > /x", read_only=False), CancelToken()).exit_code == 0


def test_user_and_privileges(runner: DockerRunner, command: Command) -> None:
    script = "id -u; id -g; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | cut -f2"
    runner.run(shell(command, script, user="1234:4321"), CancelToken())
    assert command.stdout.read_text().split() == ["1234", "4321", "0" * 16, "0" * 16, "1"]
    runner.run(shell(command, script), CancelToken())
    assert command.stdout.read_text().split() == ["0", "0", "0" * 16, "0" * 16, "1"]


def test_mounts(runner: DockerRunner, command: Command, tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    (tmp_path / "in" / "a").write_text("data")
    mounts = (
        Mount(str(tmp_path / "in"), "/in"),
        Mount(str(tmp_path / "out"), "/out", writable=True),
        Mount(str(tmp_path / "in" / "a"), "/single file"),
    )
    script = "cat /in/a '/single file' > /out/b && ! touch /in/c && ! touch '/single file'"
    assert runner.run(shell(command, script, mounts=mounts), CancelToken()).exit_code == 0
    assert (tmp_path / "out" / "b").read_text() == "datadata"


def test_a_source_that_is_not_there_is_refused_and_not_made(
    runner: DockerRunner, command: Command, tmp_path: Path
) -> None:
    source = tmp_path / "nowhere"
    with pytest.raises(MountRefused, match="nowhere") as caught:
        runner.run(shell(command, "true", mounts=(Mount(str(source), "/in"),)), CancelToken())
    assert caught.value.fields["path"] == str(source)
    assert not source.exists()


def test_a_directory_over_a_file_is_refused(runner: DockerRunner, command: Command, tmp_path: Path) -> None:
    with pytest.raises(MountRefused, match="/etc/passwd"):
        runner.run(shell(command, "true", mounts=(Mount(str(tmp_path), "/etc/passwd"),)), CancelToken())


def test_what_the_engine_is_told(start: Start, engine: docker.APIClient, command: Command) -> None:
    token = CancelToken()
    command = replace(command, memory=64 * MIB, cpus=0.5)
    future = start(shell(command, "echo ready; exec sleep 600", shm_size="32m"), token)
    found = engine.inspect_container(command.name)
    token.cancel("seen")
    with pytest.raises(Cancelled):
        future.result(HANG)
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, 64 * MIB)
    assert host["NanoCpus"] == 500_000_000
    assert host["ShmSize"] == 32 * MIB
    assert host["LogConfig"]["Type"] == "none"
    assert host["Init"] is True and host["AutoRemove"] is False
    assert owner_labels().items() <= found["Config"]["Labels"].items()


# --- how it ends -----------------------------------------------------------------------------------


def test_out_of_memory(runner: DockerRunner, command: Command) -> None:
    with pytest.raises(OutOfMemory, match="16 MiB") as caught:
        runner.run(shell(replace(command, memory=16 * MIB), "exec tail /dev/zero"), CancelToken())
    fields = caught.value.fields
    assert (fields["limit"], fields["peak_memory"], fields["exit_code"]) == (16 * MIB, 16 * MIB, 137)
    assert "cpu_seconds" in fields
    assert "used 16 MiB" in caught.value.hint and "had 16 MiB" in caught.value.hint


def test_a_child_out_of_memory_is_the_tools_own_affair(runner: DockerRunner, command: Command) -> None:
    command = replace(command, memory=16 * MIB)
    assert runner.run(shell(command, "tail /dev/zero; exit 0"), CancelToken()).exit_code == 0
    with pytest.raises(OutOfMemory):
        runner.run(shell(command, "tail /dev/zero; exit 5"), CancelToken())


@pytest.mark.slow
def test_no_end_for_want_of_memory_is_missed_when_many_end_at_once(
    runner: DockerRunner, command: Command, tmp_path: Path
) -> None:
    """The engine misses some of them."""

    def one(number: int) -> type[BaseException] | int:
        files = {"stdout": tmp_path / f"out{number}", "stderr": tmp_path / f"err{number}"}
        named = replace(command, name=f"{command.name}-{number}", memory=16 * MIB, **files)  # type: ignore[arg-type]
        try:
            return runner.run(shell(named, "sleep 0.1; tail /dev/zero || exit 1"), CancelToken()).exit_code
        except ContainerError as error:
            return type(error)

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(one, range(40))) == [OutOfMemory] * 40


def test_a_failure_with_memory_to_spare_is_no_want_of_it(runner: DockerRunner, command: Command) -> None:
    command = replace(command, memory=64 * MIB)
    assert runner.run(shell(command, "sleep 0.1; exit 1"), CancelToken()).exit_code == 1
    with pytest.raises(KilledFromOutside) as caught:
        runner.run(shell(command, "sleep 0.1; exit 137"), CancelToken())
    assert caught.value.fields["exit_code"] == 137


def test_what_it_used(runner: DockerRunner, command: Command) -> None:
    script = "head -c 40000000 /dev/zero | tail -c 39999999 | sleep 1"
    report = runner.run(shell(command, script), CancelToken())
    assert 0.9 < report.seconds
    assert report.peak_memory is None or report.peak_memory > 30_000_000
    assert report.cpu_seconds is None or report.cpu_seconds > 0


@pytest.mark.parametrize("how", ["kill", "stop", "remove_container"])
def test_an_end_from_outside_is_not_the_tools(
    start: Start, engine: docker.APIClient, command: Command, how: str
) -> None:
    future = start(shell(command, "echo ready; exec sleep 600"), CancelToken())
    getattr(engine, how)(command.name, **({"force": True} if how == "remove_container" else {}))
    with pytest.raises(KilledFromOutside):
        future.result(HANG)


def test_a_paused_container_is_ended_too(start: Start, engine: docker.APIClient, command: Command) -> None:
    token = CancelToken()
    future = start(shell(command, "echo ready; exec sleep 600"), token)
    engine.pause(command.name)
    token.cancel("enough")
    with pytest.raises(Cancelled):
        future.result(HANG)


def test_the_time_limit_of_a_tool_that_ignores_sigterm(runner: DockerRunner, command: Command) -> None:
    script = "trap '' TERM; while :; do sleep 0.1; done"
    with pytest.raises(TimeLimitExceeded):
        runner.run(shell(replace(command, time_limit=0.5), script), CancelToken())


def test_programs_that_cant_be_run(runner: DockerRunner, command: Command) -> None:
    for program, why in (("nosuch", "No such file"), ("/etc/passwd", "ermission")):
        with pytest.raises(CommandNotFound, match=why) as caught:
            runner.run(replace(command, argv=(program,)), CancelToken())
        assert caught.value.fields == {"program": program, "image": "alpine"}
    assert runner.run(shell(command, "nosuch"), CancelToken()).exit_code == 127, "the shell's own word"


def test_an_image_that_is_not_there(runner: DockerRunner, command: Command) -> None:
    with pytest.raises(ImageNotFound, match="no/such:image"):
        runner.run(shell(command, "true", image=Image("no/such:image")), CancelToken())


def test_gpus_that_are_not_there(runner: DockerRunner, command: Command) -> None:
    with pytest.raises(ContainerError, match=r"can't give GPU 62, 63") as caught:
        runner.run(shell(command, "true", gpus=("62", "63")), CancelToken())
    assert not isinstance(caught.value, (EngineUnreachable, KilledFromOutside)), "it would be tried again"
    assert "CELERIAC_HOST_GPUS" in caught.value.hint
    assert caught.value.fields["gpus"] == ["62", "63"]


# --- its name --------------------------------------------------------------------------------------


def _hold(engine: docker.APIClient, name: str, labels: dict[str, str], started: bool) -> str:
    held = str(engine.create_container("alpine", ["sleep", "600"], name=name, labels=labels)["Id"])
    if started:
        engine.start(held)
    return held


def test_a_dead_holder_of_the_name_makes_way(runner: DockerRunner, engine: docker.APIClient, command: Command) -> None:
    gone = {**owner_labels(), "celeriac.owner": owner_labels()["celeriac.owner"].replace(":", ":1", 1)}
    held = _hold(engine, command.name, gone, started=True)
    assert runner.run(shell(command, "exit 3"), CancelToken()).exit_code == 3
    with pytest.raises(NotFound):
        engine.inspect_container(held)


def test_an_ended_holder_of_unknown_owner_makes_way(
    runner: DockerRunner, engine: docker.APIClient, command: Command
) -> None:
    engine.start(held := _hold(engine, command.name, {}, started=False))
    engine.kill(held)
    assert runner.run(shell(command, "exit 3"), CancelToken()).exit_code == 3


@pytest.mark.parametrize("labels", [{}, owner_labels()], ids=["unknown owner", "living owner"])
@pytest.mark.parametrize("started", [True, False])
def test_a_living_holder_of_the_name_stays(
    runner: DockerRunner, engine: docker.APIClient, command: Command, labels: dict[str, str], started: bool
) -> None:
    held = _hold(engine, command.name, labels, started)
    command.stdout.write_text("its log")
    try:
        with pytest.raises(NameTaken, match=command.name):
            runner.run(shell(command, "exit 3"), CancelToken())
        assert engine.inspect_container(held)["State"]["Running"] is started
        assert command.stdout.read_text() == "its log"
    finally:
        engine.remove_container(held, force=True)


# --- its streams -----------------------------------------------------------------------------------


def test_output_is_there_while_the_tool_runs(start: Start, command: Command) -> None:
    token = CancelToken()
    future = start(shell(command, "echo ready; echo too >&2; exec sleep 600"), token)
    wait_for(lambda: command.stderr.read_text() == "too\n")
    token.cancel("seen")
    with pytest.raises(Cancelled):
        future.result(HANG)


def test_streams_are_not_mixed(runner: DockerRunner, command: Command) -> None:
    runner.run(shell(command, "seq 200000 & seq 300000 500000 >&2; wait"), CancelToken())
    assert command.stdout.read_text().split() == [str(n) for n in range(1, 200001)]
    assert command.stderr.read_text().split() == [str(n) for n in range(300000, 500001)]


def test_a_stream_that_is_closed_early_ends_nothing(runner: DockerRunner, command: Command) -> None:
    report = runner.run(shell(command, "exec >&-; sleep 1; echo late >&2; exit 4"), CancelToken())
    assert (report.exit_code, command.stderr.read_text()) == (4, "late\n")
    assert runner.run(shell(command, "exec >&- 2>&-; sleep 1; exit 4"), CancelToken()).exit_code == 4


def test_input_that_nobody_reads(runner: DockerRunner, command: Command, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"0123456789" * 2_000_000)
    script = shell(command, "head -c 3; head -c 900000 /dev/zero >&2; exit 6")
    report = runner.run(replace(script, stdin=tmp_path / "in"), CancelToken())
    assert (report.exit_code, command.stdout.read_bytes()) == (6, b"012")
    assert command.stderr.stat().st_size == 900_000


def test_a_tool_whose_output_goes_on_after_its_input_ended(
    runner: DockerRunner, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"half")
    script = shell(command, "cat; sleep 1; echo ' closed'")
    runner.run(replace(script, stdin=tmp_path / "in"), CancelToken())
    assert command.stdout.read_bytes() == b"half closed\n"


def test_a_cancel_while_input_flows(start: Start, command: Command, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(20_000_000))
    token = CancelToken()
    future = start(replace(shell(command, "echo ready; sleep 600"), stdin=tmp_path / "in"), token)
    token.cancel("enough")
    with pytest.raises(Cancelled):
        future.result(HANG)


def test_a_full_disk_ends_the_tool(runner: DockerRunner, command: Command) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("not tested: there is no /dev/full")
    with pytest.raises(DiskFull, match="the file system /dev has no room left"):
        runner.run(replace(shell(command, "echo x; sleep 600"), stdout=full), CancelToken())


FLAT = """
import resource, sys
from pathlib import Path
from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
url, here = sys.argv[1], Path(sys.argv[2])
runner = DockerRunner(url)
def run(name, script, stdin=None):
    command = Command(f"{sys.argv[3]}-{name}", ("sh", "-c", script), {}, "/tmp", here / name, here / "err",
                      stdin=stdin, container=ContainerSpec(Image("alpine")))
    assert runner.run(command, CancelToken()).exit_code == 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = run("none", "true")
after = run("much", "head -c 200000000 /dev/zero")
again = run("count", "wc -c", stdin=here / "much")
print(after - before, again - before)
"""


def test_memory_stays_flat_at_200_mb_out_and_in(
    docker_engine: str, docker_images: dict[str, str], tmp_path: Path
) -> None:
    name = f"test-{time.monotonic_ns()}"
    argv = [sys.executable, "-c", FLAT, docker_engine, str(tmp_path), name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "much").stat().st_size == 200_000_000
    assert (tmp_path / "count").read_text().split() == ["200000000"]
    grown = [int(kib) for kib in done.stdout.split()]
    assert max(grown) < 20 * 1024, "KiB more than for no output at all"


# --- what is left ----------------------------------------------------------------------------------

WORKER = """
import signal, sys
from pathlib import Path
from celeriac.container.base import CancelToken, Command, ContainerSpec, Image
from celeriac.container.docker import DockerRunner
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
here = Path(sys.argv[2])
command = Command(sys.argv[3], ("sh", "-c", "echo ready; sleep 600"), {}, "/tmp", here / "out", here / "err",
                  container=ContainerSpec(Image("alpine")))
DockerRunner(sys.argv[1]).run(command, CancelToken())
"""


def test_what_a_killed_worker_left_can_be_cleared(
    runner: DockerRunner,
    docker_engine: str,
    engine: docker.APIClient,
    docker_images: dict[str, str],
    tmp_path: Path,
) -> None:
    name, out = f"test-{time.monotonic_ns()}", tmp_path / "out"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, docker_engine, str(tmp_path), name])
    wait_for(lambda: out.exists() and out.read_bytes() == b"ready\n")
    worker.kill()
    worker.wait(HANG)
    assert engine.inspect_container(name)["State"]["Running"]
    with ThreadPoolExecutor() as pool:  # many may find it at once
        assert all(pool.map(runner.clear, [name] * 4))
    with pytest.raises(NotFound):
        engine.inspect_container(name)


def test_an_exception_in_the_waiting_thread_removes_the_container(
    docker_engine: str, engine: docker.APIClient, docker_images: dict[str, str], tmp_path: Path
) -> None:
    """As a worker's SIGTERM does: SystemExit comes out of the wait."""
    name, out = f"test-{time.monotonic_ns()}", tmp_path / "out"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, docker_engine, str(tmp_path), name])
    wait_for(lambda: out.exists() and out.read_bytes() == b"ready\n")
    worker.terminate()
    assert worker.wait(HANG) == 5
    with pytest.raises(NotFound):
        engine.inspect_container(name)


def test_a_cancel_at_any_time_leaves_nothing(runner: DockerRunner, command: Command) -> None:
    for step in range(8):
        token = CancelToken()
        timer = threading.Timer(step * 0.04, token.cancel, ["now"])
        timer.start()
        named = replace(command, name=f"{command.name}-{step}")
        with pytest.raises(Cancelled):
            runner.run(shell(named, "exec sleep 600"), token)
        timer.join()
