"""Each service really starts, and nothing of it is left after its block."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from tests.services import Server
from tests.services.postgresql_server import postgresql_server
from tests.services.process import StartFailed, private_directory, running
from tests.services.rabbitmq_server import rabbitmq_server
from tests.services.redis_server import redis_server

ROOT = Path(__file__).parents[2]
_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True)
def daemons_stay_ours() -> Iterator[None]:
    """Make this process the parent of daemons, so that one that detached itself is still seen."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    yield
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for temporary files that nobody else writes to, and that every account may enter."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(redis_server, marks=pytest.mark.needs("redis")),
        pytest.param(rabbitmq_server, marks=pytest.mark.needs("rabbitmq")),
        pytest.param(postgresql_server, marks=pytest.mark.needs("postgresql")),
    ],
)
def test_no_process_and_no_directory_is_left(
    start: Callable[[], AbstractContextManager[Server]], temporary: Path
) -> None:
    before = _descendants()
    with start() as server:
        assert server.pid in _descendants() - before
        assert list(temporary.iterdir())
    assert _gone(before) == set()
    assert not list(temporary.iterdir())


def test_a_server_that_does_not_start_is_ended_and_tells_why() -> None:
    before = _descendants()
    argv = ["sh", "-c", "echo no room for me; sleep 600"]
    with (
        private_directory() as directory,
        pytest.raises(StartFailed, match="no room for me"),
        running(argv, ready=lambda: False, log=directory / "log", patience=0.5),
    ):
        pass
    assert _gone(before) == set()


def test_a_server_that_exits_at_once_is_no_long_wait() -> None:
    argv = ["sh", "-c", "echo wrong option; exit 7"]
    with (
        private_directory() as directory,
        pytest.raises(StartFailed, match=r"ended with 7:\nwrong option"),
        running(argv, ready=lambda: False, log=directory / "log"),
    ):
        pass


def test_a_helper_that_outlives_its_server_is_ended_too() -> None:
    before = _descendants()
    argv = ["sh", "-c", "sleep 600 & exec sleep 600"]
    with private_directory() as directory, running(argv, ready=lambda: True, log=directory / "log"):
        assert _descendants() - before
    assert _gone(before) == set()


_SESSION = """
from tests.services.redis_server import redis_server
with redis_server():
    print(flush=True)
    input()
"""


@pytest.mark.needs("redis")
def test_a_session_that_is_killed_takes_its_servers_along(temporary: Path) -> None:
    before = _descendants()
    with subprocess.Popen(
        [sys.executable, "-c", _SESSION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as session:
        assert session.stdout is not None
        session.stdout.readline()
        assert len(_descendants() - before) == 2
        session.kill()
    assert _gone(before) == set()


def _descendants() -> set[int]:
    parents = dict(_living())
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _living() -> Iterator[tuple[int, int]]:
    """Yield the id of every process that is no zombie, with its parent's (proc(5), ``stat``)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(path.parent.name), int(parent)


def _gone(before: set[int]) -> set[int]:
    """Return what is left; a helper may need a moment to see that its server is gone."""
    deadline = time.monotonic() + 10
    while (left := _descendants() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
