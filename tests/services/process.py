"""Start a real server for a test, wait until it serves, end it and all that it started."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class StartFailed(Exception):
    """A service is installed but did not come up; the message ends with its own last words."""


def free_port() -> int:
    """Return a TCP port that nobody on the loopback interface uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def private_directory(user: str | None = None) -> Iterator[Path]:
    """Yield a fresh directory that only ``user`` (default: the caller) may enter."""
    with tempfile.TemporaryDirectory(prefix="celeriac-", ignore_cleanup_errors=True) as name:
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(name, account.pw_uid, account.pw_gid)
        yield Path(name)


@contextmanager
def running(
    argv: Sequence[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    not_yet: type[Exception] = OSError,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    patience: float = 60.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground while the block runs.

    ``ready`` is asked until it returns true; ``not_yet`` is what it raises before. ``log`` receives
    the output. ``stop`` is the signal that asks the server to end; ``patience`` is how many seconds
    it has to come up, and to end before it is killed. Raises :class:`StartFailed`.
    """
    process = _spawn(argv, log, env, user)
    try:
        _wait_until(ready, not_yet, process, log, patience)
        yield process
    finally:
        _end(process, stop, patience)


def _spawn(
    argv: Sequence[str], log: Path, env: Mapping[str, str] | None, user: str | None
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=None if env is None else {**os.environ, **env},
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    # A test session may be killed outright; its servers must not outlive it.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until(
    ready: Callable[[], bool],
    not_yet: type[Exception],
    process: subprocess.Popen[bytes],
    log: Path,
    patience: float,
) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartFailed(f"{process.args!r} ended with {process.returncode}:\n{_tail(log)}")
        with suppress(not_yet):
            if ready():
                return
        time.sleep(0.02)
    raise StartFailed(f"{process.args!r} did not serve within {patience:.0f} s:\n{_tail(log)}")


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _end(process: subprocess.Popen[bytes], stop: signal.Signals, patience: float) -> None:
    process.send_signal(stop)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        # The server led a session of its own: what is still in its group is its stragglers.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
