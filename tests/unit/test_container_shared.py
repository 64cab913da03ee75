"""Containers that commands share, without an engine: who may share, the order to the shell, what moves in and out."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.container.base import Command, ContainerSpec, Image, Mount, Sharing
from celeriac.container.docker import order as orders
from celeriac.container.docker import room as rooms
from celeriac.container.docker.create import container_arguments, host_arguments
from celeriac.container.docker.layout import CantShare, Layout, key, layout
from celeriac.container.docker.order import GREETING, order
from celeriac.container.docker.room import Room, check
from celeriac.container.docker.usage import SharedUsage

INPUTS = "/var/lib/cwl"


@pytest.fixture
def sharing(tmp_path: Path) -> Sharing:
    (tmp_path / "item" / "out").mkdir(parents=True)
    (tmp_path / "item" / "tmp").mkdir()
    return Sharing("run/step", (tmp_path / "item",), tmp_path, INPUTS)


@pytest.fixture
def command(sharing: Sharing) -> Command:
    mounts = (Mount(f"{sharing.own[0]}/out", "/work", True), Mount(f"{sharing.own[0]}/tmp", "/tmp", True))
    user = f"{os.geteuid()}:{os.getegid()}"
    spec = ContainerSpec(Image("alpine"), mounts, user=user, labels={"a": "b"}, sharing=sharing)
    return Command("n", ("true",), {}, "/work", sharing.own[0] / "o", sharing.own[0] / "e", container=spec)


def laid_out(command: Command) -> Layout:
    assert command.container and command.container.sharing
    return layout(command, command.container, command.container.sharing)


def with_mounts(command: Command, *mounts: Mount) -> Command:
    assert command.container
    return replace(command, container=replace(command.container, mounts=(*command.container.mounts, *mounts)))


# --- who may share -----------------------------------------------------------------------------------


def test_what_becomes_of_mounts(command: Command) -> None:
    file, hosts = Mount("/data/x", f"{INPUTS}/stg/x"), Mount("/run/hosts", "/etc/hosts")
    assert command.container
    assert laid_out(with_mounts(command, file, hosts)) == Layout(command.container.mounts, (file,), (hosts,))


def test_a_temporary_directory_may_lie_elsewhere(command: Command, sharing: Sharing) -> None:
    """Attempts of one message have one after the other."""
    (sharing.directory / "elsewhere" / "tmp").mkdir(parents=True)
    tmp = Mount(str(sharing.directory / "elsewhere" / "tmp"), "/tmp", True)
    assert command.container
    spec = replace(command.container, mounts=(command.container.mounts[0], tmp))
    with pytest.raises(CantShare):
        laid_out(replace(command, container=spec))
    spec = replace(spec, sharing=replace(sharing, own=(*sharing.own, Path(tmp.source))))
    assert laid_out(replace(command, container=spec)).own == spec.mounts


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        (Mount("/data/x", "/work/x"), "is mounted in what it writes to"),
        (Mount("/data", "/data", True), "can't be put into"),
        (Mount("/data", f"{INPUTS}/stg/x", True), "can't be put into"),
        (Mount("OWN/lit/x", "/etc/x"), "can't be put into"),
        (Mount("OWN/lit/x", "/opt/x", True), "can't be put into"),
    ],
)
def test_mounts_that_were_to_be_there_before(command: Command, sharing: Sharing, mount: Mount, why: str) -> None:
    mount = replace(mount, source=mount.source.replace("OWN", str(sharing.own[0])))
    with pytest.raises(CantShare, match=why):
        laid_out(with_mounts(command, mount))


@pytest.mark.parametrize("changes", [{"read_only": False}, {"user": None}, {"user": f"{os.geteuid() + 1}:0"}], ids=str)
def test_a_spec_that_cant_be_shared(command: Command, changes: dict[str, object]) -> None:
    assert command.container
    with pytest.raises(CantShare):
        laid_out(replace(command, container=replace(command.container, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.b", "1", "", "a b", "ä", "a\n"])
def test_variables_that_no_shell_sets(command: Command, name: str) -> None:
    with pytest.raises(CantShare):
        laid_out(replace(command, env={name: "x"}))


def test_a_long_command_line_is_quicker_in_a_container_of_its_own(command: Command) -> None:
    laid_out(replace(command, argv=("x",) * 1000))
    for changes in ({"argv": ("x" * 100_000,)}, {"env": {"A": "x" * 100_000}}):
        with pytest.raises(CantShare, match="long"):
            laid_out(replace(command, **changes))  # type: ignore[arg-type]


def test_commands_share_that_differ_in_what_goes_in_and_out(command: Command, sharing: Sharing) -> None:
    def kind(command: Command, image: str = "sha256:1") -> object:
        assert command.container and command.container.sharing
        return key(command, command.container, command.container.sharing, image, laid_out(command))

    other = sharing.directory / "other"
    (other / "out").mkdir(parents=True)
    (other / "tmp").mkdir()
    assert command.container
    mounts = tuple(
        replace(m, source=m.source.replace(str(sharing.own[0]), str(other))) for m in command.container.mounts
    )
    spec = replace(
        command.container,
        mounts=(*mounts, Mount("/data/x", f"{INPUTS}/1/x")),
        labels={"c": "d"},
        sharing=replace(sharing, own=(other,)),
    )
    next_one = replace(
        command, name="m", argv=("false",), env={"A": "1"}, workdir="/tmp", time_limit=3.0, container=spec
    )
    assert kind(command) == kind(next_one)
    assert kind(command) != kind(command, "sha256:2")
    for changes in ({"memory": 1}, {"cpus": 1.0}):
        assert kind(command) != kind(replace(command, **changes))  # type: ignore[arg-type]
    for change in (
        {"user": f"{os.geteuid()}:77"}, {"network": None}, {"shm_size": "1g"}, {"gpus": ("0",)},
        {"sharing": replace(sharing, group="run/other")}, {"sharing": replace(sharing, directory=other)},
    ):  # fmt: skip
        assert kind(command) != kind(replace(command, container=replace(command.container, **change)))  # type: ignore[arg-type]
    assert kind(command) != kind(with_mounts(command, Mount("/run/hosts", "/etc/hosts")))


def test_the_shared_container_is_locked_down_as_any(command: Command) -> None:
    assert command.container
    alone = replace(command.container, sharing=None)
    host = host_arguments(command, command.container, is_local=True)
    assert host == {**host_arguments(command, alone, is_local=True), "auto_remove": True}
    shared = container_arguments(command, command.container, "sha256:1", {"celeriac.owner": "o"})
    assert (shared["entrypoint"], shared["command"], shared["stdin_open"]) == (["sh"], [], True)
    assert shared["labels"] == {"a": "b", "celeriac.owner": "o", "celeriac.shared": "yes"}
    own = container_arguments(command, alone, "sha256:1", {})
    same = ("image", "name", "user", "network_disabled", "use_config_proxy")
    assert {name: shared[name] for name in same} == {name: own[name] for name in same}


# --- the order to the shell ------------------------------------------------------------------------

INIT = '#!/bin/sh\n[ "$1 $2" = "-s --" ] && shift 2 && exec "$@"\n'
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "init"
    path.write_text(INIT)
    path.chmod(0o755)
    greeting = GREETING.replace(orders.INIT.encode(), str(path).encode())
    monkeypatch.setattr(orders, "INIT", str(path))
    monkeypatch.setattr(orders, "GREETING", greeting)
    yield


def ask(shell: str, *given: bytes) -> list[str]:
    """Give orders to a shell; return the words that it answers."""
    done = subprocess.run(shell.split(), input=orders.GREETING + b"".join(given), stdout=subprocess.PIPE, timeout=60)
    return done.stdout.decode().splitlines()


#: Prints its words and a variable, each with an end.
SAY = """for word; do printf '%s\\0' "$word"; done; printf '%s\\0' "$A"; exit {code}"""


@pytest.mark.usefixtures("init")
@pytest.mark.parametrize("shell", ["sh", "bash", "busybox sh"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(words=st.lists(TEXT, max_size=4), value=TEXT, code=st.integers(0, 255))
def test_words_come_through_as_they_are(
    command: Command, tmp_path: Path, shell: str, words: list[str], value: str, code: int
) -> None:
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"not tested: {shell} is not on the PATH")
    for name in ("out", "err"):
        (tmp_path / name).write_bytes(b"")
    argv = ("sh", "-c", SAY.format(code=code), "sh", *words)
    asked = replace(command, argv=argv, env={"A": value}, workdir=str(tmp_path))
    said = ask(shell, order(1, asked, [], ("/dev/null", f"{tmp_path}/out", f"{tmp_path}/err")))
    assert said == ["up", "1 began", f"1 {code}"]
    assert (tmp_path / "out").read_bytes().decode().split("\0") == [*words, value, ""]


@pytest.mark.usefixtures("init")
def test_one_order_after_the_other_and_what_can_t_begin(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given")
    streams = str(tmp_path / "in"), str(tmp_path / "both"), str(tmp_path / "both")
    here = replace(command, workdir=str(tmp_path))
    words = ask(
        "sh",
        order(
            1,
            replace(here, argv=("sh", "-c", 'cat; echo " $0 $1"; exit 3', "b")),
            ["sh", "-c", 'exec "$0" "$@"'],
            streams,
        ),
        order(2, replace(here, workdir=str(tmp_path / "nowhere")), [], streams),
        order(3, here, [], ("/nowhere", *streams[1:])),
        order(4, replace(here, argv=("sh", "-c", "kill -9 $$")), [], streams),
        order(5, replace(here, argv=("sh", "-c", "cat <&3 || exit 7")), [], streams),
        order(6, here, [], streams),
    )
    began = [word for word in words if word.endswith("began")]
    assert began == ["1 began", "4 began", "5 began", "6 began"]
    codes = dict(word.split() for word in words if word not in began and word != "up")
    assert (codes["1"], codes["4"], codes["5"], codes["6"]) == ("3", "137", "7", "0")
    assert codes["2"] != "0" != codes["3"]
    assert (tmp_path / "both").read_text().startswith("given b")


# --- what moves in and out ---------------------------------------------------------------------------

#: A directory as a tool may leave it: names, and their text; None: a directory with a file.
TREES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8).filter(
        lambda name: name not in (".", "..") and len(name.encode()) < 200
    ),
    st.none() | st.binary(max_size=10),
    max_size=5,
)


def _write(directory: Path, tree: dict[str, bytes | None]) -> None:
    for name, data in tree.items():
        if data is None:
            (directory / name).mkdir()
            (directory / name / "inner").write_text("inner")
            (directory / name).chmod(0o500)
        else:
            (directory / name).write_bytes(data)


def _read(directory: Path) -> dict[str, bytes | None]:
    return {path.name: None if path.is_dir() else path.read_bytes() for path in directory.iterdir()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(staged=TREES, made=TREES)
def test_what_goes_in_comes_out_with_what_was_made(
    tmp_path: Path, staged: dict[str, bytes | None], made: dict[str, bytes | None]
) -> None:
    root = tmp_path / f"{time.monotonic_ns()}"
    out = root / "item" / "out"
    out.mkdir(parents=True)
    sharing = Sharing("g", (root / "item",), root, INPUTS)
    spec = ContainerSpec(Image("i"), (Mount(str(out), "/work", True),), user=f"{os.geteuid()}:0", sharing=sharing)
    command = Command("n", (), {}, "/work", out.parent / "o", out.parent / "e", container=spec)
    _write(out, staged)
    found = layout(command, spec, sharing)
    room = Room(sharing, found)
    inside = next(Path(mount.source) for mount in room.mounts if mount.target == "/work")
    room.enter(command, found)
    assert (_read(inside), _read(out)) == (staged, {})
    new = {name: data for name, data in made.items() if name not in staged}
    _write(inside, new)
    inside.chmod(0)
    room.leave()
    inside.chmod(0o700)
    assert (_read(out), _read(inside)) == (staged | new, {})
    room.close()
    assert sorted(os.listdir(root)) == ["item"]


def test_logs_are_the_files_that_are_read_outside(command: Command, sharing: Sharing) -> None:
    found = laid_out(command)
    room = Room(sharing, found)
    logs = next(Path(mount.source) for mount in room.mounts if mount.target == rooms.LOGS)
    for stdout, stderr in (("o", "e"), ("o", "o"), ("out/o.txt", "out/e.txt")):
        command = replace(command, stdout=sharing.own[0] / stdout, stderr=sharing.own[0] / stderr)
        command.stdout.write_text("of before")
        _, out, err = room.enter(command, found)
        for path, text in ((out, "said"), (err, "+")):
            with (logs / os.path.basename(path)).open("a") as file:
                file.write(text)
        room.leave()
        assert command.stdout.read_text() == ("said+" if stdout == stderr else "said")
        assert not list(logs.iterdir())


def test_inputs_are_linked_and_forgotten(command: Command, sharing: Sharing, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "x").write_text("x")
    (tmp_path / "data" / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("data/deep/x")
    command = with_mounts(
        replace(command, stdin=tmp_path / "link"),
        Mount(str(tmp_path / "data"), f"{INPUTS}/stg1/data"),
        Mount(str(tmp_path / "link"), f"{INPUTS}/stg2/y"),
    )
    found = laid_out(command)
    check(found, sharing)
    room = Room(sharing, found)
    inside = next(Path(mount.source) for mount in room.mounts if mount.target == INPUTS)
    stdin, _, _ = room.enter(command, found)
    assert stdin == f"{INPUTS}/.stdin" and (inside / ".stdin").read_text() == "x"
    assert (inside / "stg1" / "data" / "deep" / "x").samefile(tmp_path / "data" / "deep" / "x")
    assert os.readlink(inside / "stg1" / "data" / "dangling") == "nowhere"
    assert (inside / "stg2" / "y").read_text() == "x"
    room.leave()
    assert not list(inside.iterdir())
    assert (tmp_path / "data" / "deep" / "x").read_text() == "x"


def test_inputs_that_cost_more_than_a_container(
    command: Command, sharing: Sharing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for number in range(5):
        (tmp_path / "data" / str(number)).touch()
    found = laid_out(with_mounts(command, Mount(str(tmp_path / "data"), f"{INPUTS}/stg1/data")))
    check(found, sharing)
    monkeypatch.setattr(rooms, "MANY", 5)
    with pytest.raises(CantShare, match="more than 5 files"):
        check(found, sharing)
    far = laid_out(with_mounts(command, Mount("/proc/version", f"{INPUTS}/stg1/version")))
    check(far, sharing)
    monkeypatch.setattr(rooms, "SMALL", -1)
    with pytest.raises(CantShare, match="another file system"):
        check(far, sharing)


# --- what it used -------------------------------------------------------------------------------------


def test_use_is_counted_from_the_start_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "cpuacct.usage").write_text("5000000000")
    (tmp_path / "memory.usage_in_bytes").write_text("100")
    (tmp_path / "memory.stat").write_text("total_rss 80\ntotal_cache 20\ntotal_active_file 20\n")
    (tmp_path / "memory.max_usage_in_bytes").write_text("900")
    usage = SharedUsage({"memory": str(tmp_path), "cpu": str(tmp_path)}, None, None)
    (tmp_path / "cpuacct.usage").write_text("7000000000")
    usage.look_now()
    assert (usage.cpu_seconds, usage.peak_memory, usage.was_oom_killed()) == (2.0, 80, False)
    (tmp_path / "memory.oom_control").write_text("oom_kill 1\n")
    usage.look_now()
    assert usage.was_oom_killed()
