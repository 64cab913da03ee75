"""Commands that share a container: each is as alone as in one of its own."""

from __future__ import annotations

import io
import logging
import os
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from celeriac.container.base import CancelToken, Image, Mount
from celeriac.container.docker import DockerRunner
from celeriac.errors import (
    Cancelled,
    CommandNotFound,
    EngineUnreachable,
    KilledFromOutside,
    OutOfMemory,
    TimeLimitExceeded,
)
from tests.integration.sharing import INPUTS, WHICH, Start, Step, own
from tests.integration.test_docker_engine import Proxy
from tests.unit.test_container_contract import HANG, wait_for

MIB = 2**20


# --- who shares ------------------------------------------------------------------------------------


def test_one_after_the_other_in_one_container(step: Step) -> None:
    assert len({step.says(WHICH) for _ in range(4)}) == 1
    assert len(step.containers()) == 1


def test_two_at_a_time_have_one_each(step: Step, start: Start) -> None:
    token = CancelToken()
    long = step.item(f"{WHICH}; echo ready; exec sleep 600")
    future = start(long, token)
    assert step.says(WHICH) != long.stdout.read_text().split()[0]
    assert len(step.containers()) == 2
    token.cancel("seen")
    with pytest.raises(Cancelled):
        future.result(HANG)


@pytest.mark.parametrize(
    "other",
    [
        {"group": "another"}, {"memory": 64 * MIB}, {"cpus": 0.5}, {"user": f"{os.geteuid()}:4321"}, {"network": None},
        {"shm_size": "32m"},
    ],
    ids=str,
)  # fmt: skip
def test_what_differs_is_not_shared_and_takes_the_place_of_what_is_idle(step: Step, other: dict[str, Any]) -> None:
    first = step.says(WHICH)
    command = step.item(WHICH, **other)
    step.run(command)
    assert command.stdout.read_text().strip() not in ("", first)
    wait_for(lambda: len(step.containers()) == 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"read_only": False}, {"user": None}, {"env": {"not.a.name": "x"}},
        {"image": Image("without-a-shell")}, {"mounts": (Mount("/etc/hosts", "/work/hosts"), )},
    ],
    ids=str,
)  # fmt: skip
def test_what_cant_share_has_a_container_of_its_own(
    step: Step, engine: docker.APIClient, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    argv: tuple[str, ...] = ("cat", "/etc/hostname")
    command = step.item("")
    if "image" in changes:
        engine.import_image_from_data(_archive("cat"), repository="without-a-shell")
        argv = ("/cat", "/etc/hostname")
    if "mounts" in changes:
        assert command.container
        changes = {"mounts": command.container.mounts + changes["mounts"]}
    try:
        for _ in range(2):
            command = replace(step.item("", **changes), argv=argv)
            assert step.run(command).exit_code == 0
            assert command.stdout.read_text()
            assert not step.containers()
            assert f"'{command.name}' gets a container of its own" in caplog.text
    finally:
        if "image" in changes:
            engine.remove_image("without-a-shell")


def _archive(program: str) -> bytes:
    """Return an image's file system that has one program, and no shell."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(shutil.which("busybox") or "", program)
    return data.getvalue()


# --- as alone as in one of its own -------------------------------------------------------------------

SEEN = """
    id -u; id -g; grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status; tail -n +3 /proc/net/dev | cut -d: -f1
    ls -a /work /tmp; touch /x 2>&1; umask; ulimit -a; env | sort | grep -v -e HOSTNAME -e SHLVL; pwd
    cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null
    true
"""


def test_it_sees_what_it_would_see_alone(step: Step) -> None:
    changes: dict[str, Any] = {"memory": 64 * MIB, "cpus": 0.5}
    alone = step.says(SEEN, sharing=None, **changes)
    for _ in range(2):
        assert step.says(SEEN, **changes) == alone


def test_the_engine_is_told_the_same(step: Step, start: Start, engine: docker.APIClient) -> None:
    token, found = CancelToken(), []
    for changes in ({"sharing": None}, {}):
        changes |= {"memory": 64 * MIB, "cpus": 0.5}
        command = step.item("echo ready; exec sleep 600", **changes)
        future = start(command, token := CancelToken())
        found.append(engine.inspect_container(command.name))
        token.cancel("seen")
        with pytest.raises(Cancelled):
            future.result(HANG)
    alone, shared = (dict(one["HostConfig"]) for one in found)
    for host in (alone, shared):
        del host["Mounts"], host["AutoRemove"]
    assert shared == alone
    labels = [set(one["Config"]["Labels"]) for one in found]
    assert labels[1] - labels[0] == {"celeriac.shared"} and labels[0] <= labels[1]


def test_nothing_of_one_is_there_for_the_next(step: Step, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("data")
    look = "find /work /tmp /var/lib/cwl /dev/shm /celeriac"
    fresh = step.says(look)
    mount = Mount(str(tmp_path / "input"), f"{INPUTS}/stg1/input")
    command = step.item("cat /var/lib/cwl/stg1/input > a; mkdir -p d/e; echo t > /tmp/t; chmod 555 d; ln -s a l", mount)
    assert step.run(command).exit_code == 0
    assert sorted(os.listdir(own(command) / "out")) == ["a", "d", "l"]
    assert (own(command) / "out" / "a").read_text() == "data"
    assert (own(command) / "out" / "d").stat().st_mode & 0o777 == 0o555
    assert (own(command) / "tmp" / "t").read_text() == "t\n"
    assert step.says(look) == fresh
    assert len(step.containers()) == 1


def test_what_was_staged_is_there(step: Step) -> None:
    command = step.item("cat made; echo more >> made")
    (own(command) / "out" / "made").write_text("before\n")
    step.run(command)
    assert command.stdout.read_text() == "before\n"
    assert (own(command) / "out" / "made").read_text() == "before\nmore\n"


def test_inputs_can_be_read_and_not_changed(step: Step, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for path in (tmp_path / "file", tmp_path / "folder" / "deep" / "file"):
        path.write_text("data")
        path.chmod(0o666)
    (tmp_path / "link").symlink_to("file")
    mounts = (
        Mount(str(tmp_path / "link"), f"{INPUTS}/stg1/a b"),
        Mount(str(tmp_path / "folder"), f"{INPUTS}/stg2/folder"),
    )
    script = "cat '/var/lib/cwl/stg1/a b' /var/lib/cwl/stg2/folder/deep/file; ! echo x > '/var/lib/cwl/stg1/a b'"
    assert step.says(script, *mounts) == "datadata"
    assert step.says("ls /var/lib/cwl") == ""
    assert (tmp_path / "file").read_text() == "data"


def test_inputs_without_end_mean_a_container_of_its_own(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celeriac.container.docker.room.MANY", 3)
    (tmp_path / "folder").mkdir()
    for number in range(5):
        (tmp_path / "folder" / str(number)).touch()
    first = step.says(WHICH)
    mount = Mount(str(tmp_path / "folder"), f"{INPUTS}/stg/folder")
    command = step.item(f"{WHICH}; ls {INPUTS}/stg/folder | wc -l", mount)
    (own(command) / "out" / "staged").touch()
    step.run(command)
    which, number = command.stdout.read_text().split()
    assert (which != first, number) == (True, "5")
    assert (own(command) / "out" / "staged").exists()
    assert step.says(WHICH) == first, "nothing is wrong with the shared one"


def test_streams_may_be_files_that_it_makes(step: Step) -> None:
    command = step.item("echo out; echo err >&2; ls")
    directory = own(command) / "out"
    command = replace(command, stdout=directory / "o.txt", stderr=directory / "e.txt")
    step.run(command)
    assert ((directory / "o.txt").read_text(), (directory / "e.txt").read_text()) == ("out\ne.txt\no.txt\n", "err\n")


def test_output_is_there_while_it_runs(step: Step, start: Start) -> None:
    token = CancelToken()
    future = start(step.item("echo ready; exec sleep 600"), token)
    token.cancel("seen")
    with pytest.raises(Cancelled):
        future.result(HANG)


def test_an_image_s_entrypoint_comes_first(step: Step, engine: docker.APIClient) -> None:
    made = engine.create_container("alpine", ["true"])["Id"]
    engine.commit(made, "with-entrypoint", conf={"Entrypoint": ["sh", "-c", 'echo "first $0"; exec "$@"', "word"]})
    engine.remove_container(made)
    try:
        for _ in range(2):
            assert step.says("echo second", image=Image("with-entrypoint")) == "first word\nsecond"
        assert len(step.containers()) == 1
    finally:
        step.runner.close()
        engine.remove_image("with-entrypoint")


def test_what_it_used_is_its_own(step: Step) -> None:
    report = step.run(step.item("head -c 40000000 /dev/zero | tail -c 39999999 | sleep 1"))
    assert report.peak_memory is None or report.peak_memory > 30_000_000
    small = step.run(step.item("true"))
    assert small.peak_memory is None or small.peak_memory < 20_000_000
    assert report.cpu_seconds is not None and small.cpu_seconds is not None
    assert small.cpu_seconds < report.cpu_seconds + 0.5


# --- how it ends -------------------------------------------------------------------------------------


def test_out_of_memory(step: Step) -> None:
    first = step.says(WHICH, memory=16 * MIB)
    with pytest.raises(OutOfMemory, match="16 MiB") as caught:
        step.run(step.item("exec tail /dev/zero", memory=16 * MIB))
    fields = caught.value.fields
    assert (fields["limit"], fields["peak_memory"], fields["exit_code"]) == (16 * MIB, 16 * MIB, 137)
    assert step.says(WHICH, memory=16 * MIB) != first
    with pytest.raises(OutOfMemory):
        step.run(step.item("tail /dev/zero; exit 5", memory=16 * MIB))
    assert step.run(step.item("tail /dev/zero; exit 0", memory=16 * MIB)).exit_code == 0, "a child's own affair"
    assert not step.containers(), "its kernel's word would be taken for the next one's"


def test_cancel_ends_it_and_the_container(step: Step, start: Start) -> None:
    first = step.says(WHICH)
    token = CancelToken()
    command = step.item("trap '' TERM; touch made; echo ready; while :; do sleep 1; done")
    future = start(command, token)
    token.cancel("enough")
    with pytest.raises(Cancelled, match="enough"):
        future.result(HANG)
    assert not step.containers()
    assert (own(command) / "out" / "made").exists(), "what it wrote by then is kept"
    assert step.says(WHICH) != first


def test_the_time_limit_of_each_one(step: Step) -> None:
    for _ in range(2):
        assert step.run(step.item("sleep 0.4", time_limit=HANG)).exit_code == 0
        with pytest.raises(TimeLimitExceeded):
            step.run(step.item("sleep 600", time_limit=0.5))


def test_a_program_that_is_not_there(step: Step) -> None:
    first = step.says(WHICH)
    for program, why in (("nosuch", "No such file"), ("/etc/passwd", "ermission")):
        with pytest.raises(CommandNotFound, match=why) as caught:
            step.run(replace(step.item(""), argv=(program,)))
        assert caught.value.fields == {"program": program, "image": "alpine"}
    assert step.says(WHICH) == first


@pytest.mark.parametrize("how", ["kill", "stop", "remove_container"])
def test_an_end_from_outside_is_not_the_tools(step: Step, start: Start, engine: docker.APIClient, how: str) -> None:
    command = step.item("echo ready; exec sleep 600")
    future = start(command, CancelToken())
    getattr(engine, how)(command.name, **({"force": True} if how == "remove_container" else {}))
    with pytest.raises(KilledFromOutside):
        future.result(HANG)


def test_a_container_that_was_removed_between_two_is_replaced(step: Step, engine: docker.APIClient) -> None:
    first = step.says(WHICH)
    engine.remove_container(step.containers()[0]["Id"], force=True)
    assert step.says(WHICH) != first


def test_a_process_that_it_leaves_goes_with_the_container(step: Step) -> None:
    first = step.says(WHICH)
    for script in ("sleep 600 & true", "setsid sleep 600 & true", "(trap '' TERM HUP; sleep 600 & ) > /dev/null 2>&1"):
        command = step.item(f"{script}; {WHICH}")
        assert step.run(command).exit_code == 0
        assert not step.containers()
        assert step.says(WHICH) != command.stdout.read_text().strip()
    assert step.says(WHICH) != first


def test_shared_memory_that_it_leaves_is_not_for_the_next_one(step: Step) -> None:
    first = step.says(f"echo secret > /dev/shm/left; {WHICH}")
    assert step.says(f"ls /dev/shm; {WHICH}") not in (first, f"left\n{first}")


def test_the_place_of_logs_is_no_way_out(step: Step, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    script = f"rm -rf /celeriac/*; mkdir -p /celeriac/out/x; ln -s {tmp_path}/precious /celeriac/err; chmod 0 /celeriac"
    step.says(script)
    command = step.item("echo said; echo more >&2")
    step.run(command)
    assert (command.stdout.read_text(), command.stderr.read_text()) == ("said\n", "more\n")
    assert (tmp_path / "precious").read_text() == "kept"


def test_an_engine_that_goes_away_is_no_failure_of_the_tool(
    docker_engine: str, step: Step, engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celeriac.container.docker.fence.REMOVALS", 1)
    monkeypatch.setattr("celeriac.container.docker.fence.CLEARED_WITHIN", 0.1)
    command = step.item("echo ready; exec sleep 600")
    with closing(Proxy(step.root / "engine.sock", docker_engine)) as proxy, ThreadPoolExecutor() as pool:
        runner = DockerRunner(proxy.url, patience=3)
        future = pool.submit(runner.run, command, CancelToken())
        wait_for(lambda: future.done() or (command.stdout.exists() and b"ready" in command.stdout.read_bytes()))
        proxy.cut()
        with pytest.raises(EngineUnreachable):
            future.result(HANG)
        proxy.mend()
        wait_for(lambda: not step.containers())
        runner.close()
