"""The reaper of a host: there is one while anybody is to be watched, and it acts when somebody has died."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from celeriac.resources import Resources
from queues import guard, owners, reaper
from queues.alive import boot_id, is_locked
from queues.ledger import overview
from queues.reaping import reap
from queues.remains import Remains
from queues.slots import HostSlots
from tests.unit.slots.test_processes import BUDGET, FORK, always, holder, kill, start, until

ONE = Resources(1, 10)
ROOT = str(Path(__file__).parents[3])
#: Notes that it ran, forgets the dead, and watches again.
ACT = """
import os, sys
from pathlib import Path
root, directory, notes, lock = sys.argv[1:]
sys.path.insert(0, root)
from queues import guard, owners
with open(notes, "a") as file:
    file.write(f"{os.getpid()}\\n")
for token in list(owners.dead(Path(directory))):
    owners.forget(Path(directory), token)
os.set_inheritable(int(lock), True)
words = guard.words(Path(directory), [sys.executable, "-c", *sys.orig_argv[2:-1]], int(lock))
os.execv(words[0], words)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "slots"
    owners.prepare(made)
    return made


def _command(directory: Path) -> list[str]:
    return [sys.executable, "-c", ACT, ROOT, str(directory), str(_notes(directory))]


def _notes(directory: Path) -> Path:
    return directory.parent / "notes"


def _ensure(directory: Path) -> None:
    guard.ensure(directory, _command(directory))


def _watches(directory: Path) -> bool:
    return is_locked(directory / reaper.LOCK) is True


def _pids(directory: Path) -> list[int]:
    """Return the reapers of a directory."""
    wanted = [os.fsencode(os.path.abspath(reaper.__file__)), os.fsencode(directory)]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[3:5] == wanted and is_locked(directory / reaper.LOCK):
            found.append(int(path.parent.name))
    return found


def _hold(directory: Path, name: str = "a") -> Any:
    """Start a process that holds a slot."""
    process = start(FORK, holder, directory, name, ONE)
    until(lambda: any(line.name == name for line in overview(directory)))
    return process


def _watched(directory: Path) -> int:
    """Start a reaper, return its process."""
    _ensure(directory)
    until(lambda: _watches(directory) and len(_pids(directory)) == 1)
    return _pids(directory)[0]


def test_where_nobody_is_to_be_watched_there_is_none(directory: Path) -> None:
    _ensure(directory)
    assert not (directory / reaper.LOCK).exists()


def test_there_is_one_however_often_it_is_asked_for(directory: Path) -> None:
    holds = _hold(directory)
    for _ in range(10):
        _ensure(directory)
    first = _watched(directory)
    for _ in range(10):
        _ensure(directory)
    until(lambda: _pids(directory) == [first])  # one that came too late for the lock may be about to end
    kill(holds)


def test_it_has_nothing_of_whoever_started_it(directory: Path, tmp_path: Path) -> None:
    slots = HostSlots(directory, BUDGET)
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        slots.take("a", ONE, always)
        pid = _watched(directory)
        files = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    assert files == {"/dev/null", str(directory / reaper.LOCK)}
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != os.getsid(0) and os.getpgid(pid) != os.getpgid(0)
    assert Path(f"/proc/{pid}/comm").read_text().strip() == "celeriac-reaper"
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) != os.getpid()
    slots.close()
    until(lambda: not _watches(directory))


def test_signals_to_a_whole_service_do_not_end_it(directory: Path) -> None:
    holds = _hold(directory)
    pid = _watched(directory)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        os.kill(pid, number)
    kill(holds)
    until(lambda: _notes(directory).exists() and _notes(directory).read_text())  # a file is there before its text
    assert _notes(directory).read_text() == f"{pid}\n", "it is still the same process"


def test_it_acts_when_somebody_died_and_ends_when_nobody_is_left(directory: Path) -> None:
    first, second = _hold(directory, "first"), _hold(directory, "second")
    pid = _watched(directory)
    for number, process in enumerate((first, second), start=1):
        assert _watches(directory)
        kill(process)
        until(lambda number=number: _notes(directory).exists() and _notes(directory).read_text() == f"{pid}\n" * number)
    until(lambda: not _watches(directory))


def test_after_it_was_killed_another_can_be_had(directory: Path) -> None:
    holds = _hold(directory)
    first = _watched(directory)
    os.kill(first, signal.SIGKILL)
    until(lambda: not _watches(directory))
    kill(holds)  # meanwhile
    _ensure(directory)
    until(lambda: _notes(directory).exists() and _notes(directory).read_text())  # a file is there before its text
    assert _notes(directory).read_text() != f"{first}\n"


def test_an_owner_that_comes_while_it_is_about_to_end_is_watched(directory: Path) -> None:
    lock = os.open(directory / reaper.LOCK, os.O_RDWR | os.O_CREAT)
    assert reaper._take(lock)
    owner = owners.Owner(directory, boot_id())  # it has seen the lock, and relies on it
    assert reaper._stays(directory, lock, boot_id()) and _watches(directory)
    owner.close()
    assert not reaper._stays(directory, lock, boot_id()) and not _watches(directory)
    os.close(lock)


def test_the_dead_of_an_earlier_boot_are_nobody_s_business(directory: Path) -> None:
    (directory / f"owner-{'0' * 32}-{secrets.token_hex(8)}").touch()
    _ensure(directory)
    assert not (directory / reaper.LOCK).exists()


# --- what it does then ---------------------------------------------------------------------------


def test_what_the_dead_left_is_ended_and_forgotten(directory: Path) -> None:
    lives = _hold(directory, "lives")
    for name in ("one", "two"):
        kill(_hold(directory, name))
    cleared: list[str] = []
    reap(directory, Remains(lambda name: not cleared.append(name), 1e9))
    assert sorted(cleared) == ["one", "two"]
    assert [line.name for line in overview(directory)] == ["lives"]
    assert list(owners.dead(directory)) == []
    kill(lives)


def test_what_can_t_be_ended_is_tried_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queues.remains.AGAIN", 0.1)
    kill(_hold(directory))
    answers = iter([False, False, True])
    reap(directory, Remains(lambda name: next(answers), 1e9))
    assert next(answers, None) is None and overview(directory) == []


def test_the_lease_ends_the_trying(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queues.remains.AGAIN", 0.1)
    kill(_hold(directory))
    reap(directory, Remains(lambda name: False, 1.0))
    assert overview(directory) == []


def test_one_that_takes_long_does_not_hold_up_the_others(directory: Path) -> None:
    import threading

    for name in ("one", "two"):
        kill(_hold(directory, name))
    both = threading.Barrier(2)

    def clear(name: str) -> bool:
        both.wait(60)
        return True

    reap(directory, Remains(clear, 1e9))
    assert overview(directory) == []
