"""A private PostgreSQL on a unix socket, as fast as it gets: nothing survives a power cut."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.services import Server
from tests.services.process import StartFailed, private_directory, running

_DEBIAN = Path("/usr/lib/postgresql")  # keeps its versions side by side, off the PATH
_SETTINGS = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off")


def missing() -> str:
    """Say why no PostgreSQL can be started here; empty if one can."""
    return "" if _programs() else "PostgreSQL's initdb is neither on the PATH nor under /usr/lib/postgresql"


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


@contextmanager
def postgresql_server() -> Iterator[Server]:
    """Yield a fresh cluster; the URL names its empty database ``postgres`` and the superuser of that name."""
    with directory_for_data() as directory, serving(directory) as server:
        yield server


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    """Yield a PostgreSQL whose data and socket are in a directory; the data are made unless they are there."""
    programs, user = _programs(), _unprivileged_user()
    assert programs is not None, missing()
    if not (directory / "data").exists():
        _make_cluster(programs, directory / "data", user)
    where = f"host={directory} user=postgres dbname=postgres"
    argv = [str(programs / "postgres"), "-D", str(directory / "data"), "-k", str(directory)]
    argv += [word for setting in _SETTINGS for word in ("-c", setting)]

    def ready() -> bool:
        with psycopg.connect(where):
            return True

    with running(
        argv,
        ready=ready,
        not_yet=psycopg.OperationalError,
        log=directory / "postgresql.log",
        user=user,
        stop=signal.SIGINT,  # "fast": SIGTERM would wait for the clients to leave
    ) as process:
        yield Server(f"postgresql+psycopg://postgres@/postgres?host={directory}", process.pid)


@contextmanager
def directory_for_data() -> Iterator[Path]:
    """Yield a fresh directory that the server's own account may use."""
    with private_directory(_unprivileged_user()) as directory:
        yield directory


def _unprivileged_user() -> str | None:
    # PostgreSQL refuses to run as root; Debian's package brings this account.
    return "postgres" if os.geteuid() == 0 else None


def _make_cluster(programs: Path, data: Path, user: str | None) -> None:
    argv = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"]
    argv += ["--encoding=UTF8", "--locale=C"]
    done = subprocess.run(argv, user=user, cwd=data.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StartFailed(f"initdb ended with {done.returncode}:\n{done.stdout}{done.stderr}")
