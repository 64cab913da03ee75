"""The slots of a host after a death: what the dead leave comes back, and a ledger that is harmed is mended."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import queues.ledger
import queues.part
import queues.slots
from celeriac.errors import SettingsError, UnavailableError
from celeriac.resources import Resources
from celeriac.slots import Slot
from queues.ledger import boot_id, overview, path_of
from queues.slots import HostSlots
from tests.unit.slots.harness import (
    ALL,
    ONE,
    die,
    entries,
    names,
    never,
    open_ledger,
    some,
    until,
)

# --- the dead ------------------------------------------------------------------------------------


def test_the_slots_of_the_dead_come_back_after_the_lease(
    make: Callable[..., HostSlots], directory: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(queues.slots, "_boottime", lambda: clock[0])
    one, other = make(lease=60), make(lease=60)
    one.take("a", ALL, never)
    die(one)
    assert other.take("b", ONE, some()) is None
    clock[0] += 59
    assert other.take("b", ONE, some()) is None
    clock[0] += 1
    assert other.take("b", ONE, some())
    assert names(directory) == ["b"]


def test_what_is_cleared_is_free_at_once(make: Callable[..., HostSlots], directory: Path, eager: None) -> None:
    asked = []
    one = make()
    one.take("a", ALL, never)
    one.take("waits", ALL, never)
    die(one)
    other = make(clear=lambda name: not asked.append(name), lease=1e9)
    assert other.take("b", ALL, some())
    assert asked == ["a"]


def broken(name: str) -> bool:
    raise OSError("the engine does not answer")


@pytest.mark.parametrize("clear", [lambda name: False, broken], ids=["something is left", "it fails"])
def test_what_is_not_cleared_is_tried_again_and_waits_for_the_lease(
    make: Callable[..., HostSlots], eager: None, monkeypatch: pytest.MonkeyPatch, clear: Callable[[str], bool]
) -> None:
    clock, asked = [1000.0], []
    monkeypatch.setattr(queues.slots, "_boottime", lambda: clock[0])
    one = make()
    one.take("a", ALL, never)
    die(one)

    def counted(name: str) -> bool:
        asked.append(name)
        return clear(name)

    other = make(clear=counted, lease=60)
    assert other.take("b", ONE, some(5)) is None
    assert asked == ["a"]
    clock[0] += 5
    assert other.take("b", ONE, some(5)) is None
    assert asked == ["a", "a"]
    clock[0] += 55
    assert other.take("b", ONE, some(5))


def test_the_lease_does_not_free_what_nobody_tried_to_clear(make: Callable[..., HostSlots], eager: None) -> None:
    asked = []
    one = make()
    one.take("a", ALL, never)
    die(one)
    other = make(clear=lambda name: bool(asked.append(name)), lease=0)
    assert other.take("b", ONE, some())
    assert asked == ["a"]


def test_nothing_is_ended_where_nobody_knows_whether_the_owner_lives(
    make: Callable[..., HostSlots], directory: Path, eager: None
) -> None:
    asked: list[str] = []
    one = make()
    one.take("a", ALL, never)
    for file in directory.glob("owner-*"):
        file.unlink()
    other = make(clear=lambda name: not asked.append(name), lease=1e9)
    assert other.take("b", ONE, some()) is None
    one.take("c", ONE, never)  # it lives: its file is there again
    assert other.take("b", ONE, some()) is None
    assert asked == []
    assert not any(entry.dead for entry in entries(directory))
    one.give_back("a")
    assert other.take("b", ONE, some())


def test_a_name_that_a_living_one_has_is_not_cleared(make: Callable[..., HostSlots], eager: None) -> None:
    asked: list[str] = []
    one, living = make(), make()
    one.take("a", Resources(2, 2), never)
    die(one)
    living.take("a", Resources(2, 2), never)
    other = make(clear=lambda name: not asked.append(name), lease=1e9)
    assert other.take("b", ONE, some()) is None
    assert asked == []


def test_who_takes_the_place_of_a_dead_one_has_what_it_left_cleared(
    make: Callable[..., HostSlots], eager: None
) -> None:
    asked: list[str] = []
    one = make(clear=lambda name: not asked.append(name), lease=1e9)
    one.take("a", ALL, never)
    die(one)
    assert one.take("a", ALL, some())
    assert asked == ["a"]


def test_files_of_the_dead_are_removed(make: Callable[..., HostSlots], directory: Path, eager: None) -> None:
    one, other = make(), make(lease=0)
    one.take("a", ONE, never)
    die(one)
    other.take("b", Resources(2, 2), never)
    assert other.take("c", Resources(4, 4), some()) is None
    assert names(directory) == ["b"]
    assert len(list(directory.glob("owner-*"))) == 1


# --- what may happen to the files ----------------------------------------------------------------


def test_a_reboot(make: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    one, other = make(lease=1e9), make(lease=1e9)
    one.take("a", ALL, never)
    die(one)
    monkeypatch.setattr(queues.part, "boot_id", lambda: "next")
    assert other.take("b", ALL, never)
    assert not path_of(directory, boot_id()).exists()
    assert len(list(directory.glob("owner-*"))) == 1


def test_a_directory_that_was_removed_is_made_again_with_what_is_held(
    make: Callable[..., HostSlots], directory: Path
) -> None:
    one, other = make(), make()
    one.take("a", Resources(3, 3), never)
    other.take("b", ONE, never)
    shutil.rmtree(directory)
    other.give_back("b")
    one.give_back("nothing")
    assert one.take("c", Resources(2, 2), never) is None
    assert names(directory) == ["a"]
    assert other.take("b", Resources(2, 2), never) is None
    assert other.take("b", ONE, never)


def test_a_directory_that_is_not_to_be_trusted(directory: Path, make: Callable[..., HostSlots]) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(SettingsError):
        make().take("a", ONE, never)


def test_a_ledger_that_is_broken(directory: Path, make: Callable[..., HostSlots]) -> None:
    directory.mkdir(0o700)
    path_of(directory, boot_id()).write_text("no database" * 100)
    with pytest.raises(UnavailableError):
        make().take("a", ONE, never)


def test_a_ledger_that_a_stopped_process_keeps(
    directory: Path, make: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch, eager: None
) -> None:
    """What is given back meanwhile is given back later, and who wants something waits."""
    monkeypatch.setattr(queues.ledger, "_PATIENCE", 0.01)
    one, other = make(), make()
    one.take("a", ALL, never)
    with open_ledger(directory) as ledger, ledger.begin():
        one.give_back("a")
        assert other.take("b", ONE, some()) is None
    assert names(directory) == ["a"]
    assert one.take("a", ONE, never) == Slot()
    assert [line.resources for line in overview(directory)] == [ONE]


def test_what_could_not_be_given_back_is_given_back_by_and_by(
    directory: Path, make: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues.ledger, "_PATIENCE", 0.01)
    monkeypatch.setattr(queues.slots, "_LATER", 0.01)
    one = make()
    one.take("a", ALL, never)
    with open_ledger(directory) as ledger, ledger.begin():
        one.give_back("a")
        time.sleep(0.1)  # let it try in vain
    until(lambda: names(directory) == [])
