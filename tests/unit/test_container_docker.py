"""The pure parts of the Docker runner: create arguments, the stream format, errors, verdicts."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st

from celeriac.container.base import CancelToken, Command, ContainerSpec, Image, Mount
from celeriac.container.docker.create import MIN_MEMORY, container_arguments, container_name, host_arguments
from celeriac.container.docker.demultiplex import Demultiplexer
from celeriac.container.docker.options import DockerOptions
from celeriac.container.docker.refusals import refused
from celeriac.container.docker.runner import DockerRunner
from celeriac.container.docker.state import State
from celeriac.container.docker.verdict import failure
from celeriac.errors import (
    CommandNotFound,
    ContainerError,
    EngineUnreachable,
    ImageNotFound,
    KilledFromOutside,
    MountRefused,
    OutOfMemory,
)

SPEC = ContainerSpec(image=Image("tools:1"))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(
        name="run.step.1",
        argv=("cat", "-n"),
        env={"HOME": "/out"},
        workdir="/out",
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        container=SPEC,
    )


# --- lazy ------------------------------------------------------------------------------------------


def test_nothing_is_imported_and_nobody_is_called_before_the_first_use() -> None:
    code = """
import sys
import celeriac.container, celeriac.container.base, celeriac.container.process, celeriac.container.stub
from celeriac.container.docker import DockerRunner
DockerRunner("unix:///nowhere.sock").close()
print(sorted({"docker", "requests", "psutil"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# --- an engine that is not there -------------------------------------------------------------------


def test_a_missing_socket_is_named(command: Command, tmp_path: Path) -> None:
    runner = DockerRunner(f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnreachable, match=r"none\.sock.*No such file") as caught:
        runner.run(command, CancelToken())
    assert "--no-container" in caught.value.hint
    assert runner.clear(command.name) is False, "nobody can tell"
    with pytest.raises(EngineUnreachable):
        runner.prepare(SPEC.image, allow_pull=True, force_pull=False, cancel=CancelToken())


@pytest.mark.parametrize(
    ("url", "local"),
    [(None, True), ("unix:///run/x.sock", True), ("tcp://host:2375", False), ("http://host:1", False)],
)
def test_which_engines_are_local(url: str | None, local: bool) -> None:
    assert DockerOptions(url, None, 1, 1).is_local is local


# --- create ----------------------------------------------------------------------------------------


def test_a_container_may_do_little_unless_told(command: Command) -> None:
    host = host_arguments(command, SPEC, is_local=True)
    assert host["network_mode"] == "none"
    assert host["read_only"] is True
    assert host["cap_drop"] == ["ALL"]
    assert host["security_opt"] == ["no-new-privileges"]
    assert host["init"] is True
    assert host["auto_remove"] is False
    assert host["log_config"]["Type"] == "none"
    assert "mem_limit" not in host and "nano_cpus" not in host and "device_requests" not in host


@pytest.mark.parametrize(("network", "none"), [("none", True), (None, False), ("lab", False)])
def test_no_network_is_none_twice(command: Command, network: str | None, none: bool) -> None:
    """For engines that don't know the quicker way, too."""
    spec = replace(SPEC, network=network)
    assert container_arguments(command, spec, "sha256:1", {})["network_disabled"] is none
    assert host_arguments(command, spec, is_local=True).get("network_mode") == network


def test_limits(command: Command) -> None:
    host = host_arguments(replace(command, memory=2**30, cpus=1.5), SPEC, is_local=False)
    assert host["mem_limit"] == host["memswap_limit"] == 2**30
    assert host["nano_cpus"] == 1_500_000_000
    assert host_arguments(replace(command, memory=1), SPEC, is_local=False)["mem_limit"] == MIN_MEMORY
    assert host_arguments(replace(command, cpus=1e6), SPEC, is_local=False)["nano_cpus"] == int(1e15)
    assert host_arguments(replace(command, cpus=1e6), SPEC, is_local=True)["nano_cpus"] < int(1e15)


def test_what_a_spec_asks_for(command: Command) -> None:
    spec = replace(
        SPEC,
        network=None,
        shm_size="1g",
        gpus=("1", "GPU-5"),
        read_only=False,
        mounts=(Mount("/a", "/b"), Mount("/c", "/d", True)),
    )
    host = host_arguments(command, spec, is_local=True)
    assert "network_mode" not in host
    assert host["shm_size"] == 2**30
    assert host["device_requests"] == [
        {"Driver": "nvidia", "Count": 0, "DeviceIDs": ["1", "GPU-5"], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert host["read_only"] is False
    assert [(m["Source"], m["Target"], m["Type"], m["ReadOnly"]) for m in host["mounts"]] == [
        ("/a", "/b", "bind", True),
        ("/c", "/d", "bind", False),
    ]


def test_the_commands_own_words(command: Command) -> None:
    spec = replace(SPEC, user="1:2", labels={"celeriac.run": "r", "celeriac.owner": "the caller's"})
    made = container_arguments(command, spec, "sha256:1", {"celeriac.owner": "ours"})
    assert made["image"] == "sha256:1"
    assert made["command"] == ["cat", "-n"]
    assert "entrypoint" not in made
    assert made["user"] == "1:2"
    assert made["labels"] == {"celeriac.run": "r", "celeriac.owner": "ours"}
    assert made["stdin_open"] is False
    assert container_arguments(replace(command, stdin=Path("x")), spec, "", {})["stdin_open"] is True


def test_names_that_an_engine_takes() -> None:
    assert container_name("run.step-1_a") == "run.step-1_a"
    assert container_name("run/step") != container_name("run-step")
    assert container_name("run/step") == container_name("run/step")


@given(st.text(min_size=1))
def test_any_name_becomes_one_that_an_engine_takes(name: str) -> None:
    import re

    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", container_name(name))


# --- streams ---------------------------------------------------------------------------------------


def _frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40))), st.lists(st.integers(1, 17)))
def test_frames_come_apart_in_whatever_pieces_they_come(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    frames_of = Demultiplexer({1: out, 2: err})
    data = b"".join(_frame(*frame) for frame in frames)
    for cut in [*cuts, len(data)]:
        frames_of.feed(memoryview(data[:cut]))
        data = data[cut:]
    assert frames_of.is_between_frames
    assert out.getvalue() == b"".join(payload for stream, payload in frames if stream == 1)
    assert err.getvalue() == b"".join(payload for stream, payload in frames if stream != 1)


@given(st.binary(min_size=1, max_size=20), st.data())
def test_a_cut_stream_is_seen(payload: bytes, data: st.DataObject) -> None:
    frame = _frame(1, payload)
    frames_of = Demultiplexer({1: io.BytesIO(), 2: io.BytesIO()})
    frames_of.feed(memoryview(frame[: data.draw(st.integers(1, len(frame) - 1))]))
    assert not frames_of.is_between_frames


# --- refusals --------------------------------------------------------------------------------------

RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: "


@pytest.mark.parametrize(
    ("answer", "kind", "fields"),
    [
        ("No such image: tools:1", ImageNotFound, {"image": "tools:1"}),
        ("invalid reference format: repository name must be lowercase", ImageNotFound, {"image": "tools:1"}),
        (
            'invalid mount config for type "bind": bind source path does not exist: /data/in',
            MountRefused,
            {"path": "/data/in"},
        ),
        ("Duplicate mount point: /in", MountRefused, {"path": "/data/in"}),
        (
            RUNC + 'error during container init: error mounting "/data/in" to rootfs at "/in": not a directory',
            MountRefused,
            {"path": "/data/in"},
        ),
        (
            RUNC + 'exec: "nosuch": executable file not found in $PATH: unknown',
            CommandNotFound,
            {"program": "nosuch", "image": "tools:1"},
        ),
        (
            RUNC + 'exec: "mount": executable file not found in $PATH: unknown',
            CommandNotFound,
            {"program": "mount"},
        ),
        (RUNC + 'exec: "/x": permission denied: unknown', CommandNotFound, {"program": "/x"}),
        ('could not select device driver "" with capabilities: [[gpu]]', ContainerError, {}),
        ("network lab not found", ContainerError, {}),
        ("unable to find user nosuch: no matching entries in passwd file", ContainerError, {}),
        ("grpc: the client connection is closing: unavailable", EngineUnreachable, {}),
        ("something new", ContainerError, {}),
    ],
)
def test_what_the_engine_means(
    command: Command, answer: str, kind: type[ContainerError], fields: dict[str, str]
) -> None:
    command = replace(command, container=replace(SPEC, mounts=(Mount("/data", "/"), Mount("/data/in", "/in"))))
    error = refused(APIError("500", explanation=answer), command, "tools:1")
    assert type(error) is kind
    assert {name: error.fields[name] for name in fields} == fields
    assert answer.split(": ")[-1] in str(error) or "executable" in answer or "denied" in answer


# --- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (State("exited", 0, False, "", 1.0), None),
        (State("exited", 1, False, "", 1.0), None),
        (State("exited", 139, False, "", 1.0), None),
        (State("exited", 0, True, "", 1.0), None),  # only a child was killed
        (State("exited", 127, False, "", 1.0), None),  # a shell's own
        (State("exited", 137, True, "", 1.0), OutOfMemory),
        (State("exited", 1, True, "", 1.0), OutOfMemory),
        (State("exited", 137, False, "", 1.0), KilledFromOutside),
        (State("exited", 143, False, "", 1.0), KilledFromOutside),
        (State("removing", 0, False, "", 1.0), KilledFromOutside),
        (State("created", 0, False, "", 1.0), KilledFromOutside),
    ],
)
def test_what_an_end_means(command: Command, state: State, kind: type[ContainerError] | None) -> None:
    command.stderr.write_text("sh: x: not found\n")
    assert type(failure(command, "tools:1", state)) is (kind or type(None))


@pytest.mark.parametrize(
    "said",
    [
        "[FATAL tini (7)] exec cat failed: No such file or directory\n",
        "catatonit: failed to exec pid1: No such file\n",
    ],
)
def test_an_init_that_can_not_run_the_program(command: Command, said: str) -> None:
    command.stderr.write_text(said)
    error = failure(command, "tools:1", State("exited", 127, False, "", 1.0))
    assert isinstance(error, CommandNotFound)
    assert error.fields == {"program": "cat", "image": "tools:1"}
    assert failure(command, "tools:1", State("exited", 1, False, "", 1.0)) is None


def test_a_state_by_the_engines_clock() -> None:
    inspected = {
        "State": {
            "Status": "exited",
            "ExitCode": 3,
            "OOMKilled": True,
            "Error": "",
            "StartedAt": "2024-01-01T00:00:00.123456789Z",
            "FinishedAt": "2024-01-01T00:00:01.623456789Z",
        }
    }
    assert State.of(inspected) == State("exited", 3, True, "", 1.5)
    assert State.of(inspected).has_ended
    assert not State.of({"State": {"Status": "running", "FinishedAt": "0001-01-01T00:00:00Z"}}).has_ended
