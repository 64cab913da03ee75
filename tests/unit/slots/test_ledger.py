"""The file that a host's workers share, and the locks that tell which of them live."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import queues.ledger
from celeriac.errors import SettingsError, UnavailableError
from celeriac.resources import Budget, Resources
from queues import owners
from queues.ledger import Busy, Ledger, boot_id, overview, path_of, remove_earlier
from queues.turns import Entry

BOOT = "b00"
ONE = Entry(1, "o", "one", Resources(1.5, 100, 1), worker="w", gpus=("0",), taken=True, since=5.0)
TWO = Entry(2, "o", "two", Resources(2, 200), cap=3, budget=Budget(2, 300, ("0", "1")), looked=7.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, BOOT)
    yield ledger
    ledger.close()


# --- the file ------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(0, 1e9)
entries = st.builds(
    Entry,
    number=st.integers(1, 2**40),
    owner=texts,
    name=texts,
    wanted=st.builds(Resources, cpus=numbers, ram=st.integers(0, 2**40), gpus=st.integers(0, 9)),
    worker=texts,
    cap=st.none() | st.integers(0, 99),
    budget=st.none() | st.builds(Budget, numbers, st.integers(0, 2**40), st.lists(texts).map(tuple)),
    gpus=st.lists(texts).map(tuple),
    taken=st.booleans(),
    since=numbers,
    looked=numbers,
    dead=st.none() | numbers,
    cleared=st.none() | numbers,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.number))
def test_what_is_written_is_read(ledger: Ledger, some: list[Entry]) -> None:
    for entry in ledger.entries():
        ledger.remove_all(entry.owner)
    with ledger.begin():
        for entry in some:
            ledger.write(entry)
    assert ledger.entries() == sorted(some, key=lambda entry: entry.number)


def test_an_entry_takes_the_place_of_the_one_with_its_number(ledger: Ledger) -> None:
    ledger.write(TWO)
    ledger.write(replace(TWO, taken=True))
    assert ledger.entries() == [replace(TWO, taken=True)]


def test_removing(ledger: Ledger) -> None:
    for entry in (ONE, TWO, replace(ONE, number=3, owner="other")):
        ledger.write(entry)
    ledger.remove("o", "nothing")
    ledger.remove("o", "one")
    assert [(e.owner, e.name) for e in ledger.entries()] == [("o", "two"), ("other", "one")]
    ledger.remove_all("o")
    assert [e.owner for e in ledger.entries()] == ["other"]


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(KeyboardInterrupt), ledger.begin():
        ledger.write(ONE)
        raise KeyboardInterrupt
    assert ledger.entries() == []
    with ledger.begin():
        ledger.write(TWO)
    assert ledger.entries() == [TWO]


def test_what_others_write_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path, BOOT)
    ledger.has_changed()
    assert not ledger.has_changed()
    ledger.write(ONE)
    assert not ledger.has_changed()
    other.write(TWO)
    assert ledger.has_changed()
    assert not ledger.has_changed()
    assert ledger.entries() == [ONE, TWO]
    other.close()


def test_somebody_in_the_middle_of_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues.ledger, "_PATIENCE", 0.01)
    one, other = Ledger(tmp_path, BOOT), Ledger(tmp_path, BOOT)
    with one.begin():
        with pytest.raises(Busy), other.begin():
            raise AssertionError
        with pytest.raises(Busy):
            other.write(ONE)
        assert other.entries() == []  # who only reads does not wait
    other.write(ONE)
    one.close()
    other.close()


def test_a_file_that_was_removed_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.is_intact()
    path_of(tmp_path, BOOT).unlink()
    assert not ledger.is_intact()
    Ledger(tmp_path, BOOT).close()
    assert not ledger.is_intact()


def test_a_file_of_another_version(tmp_path: Path) -> None:
    db = sqlite3.connect(path_of(tmp_path, BOOT))
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(UnavailableError, match="has version 9; 1 was expected"):
        Ledger(tmp_path, BOOT)


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path_of(tmp_path, BOOT).write_text("no database" * 100)
    with pytest.raises(UnavailableError, match=f"{path_of(tmp_path, BOOT)}, can't be used"):
        Ledger(tmp_path, BOOT)


# --- the directory -------------------------------------------------------------------------------


def test_the_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    for _ in range(2):
        owners.prepare(directory)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(SettingsError, match="is a symbolic link") as caught:
        owners.prepare(tmp_path / "link")
    assert "CELERIAC_SLOTS_DIR" in caught.value.hint


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="no directory"):
        owners.prepare(tmp_path / "file")
    with pytest.raises(SettingsError, match="can't be made: File exists"):
        owners.prepare(tmp_path / "file" / "below")


def test_a_directory_that_everybody_may_write_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(SettingsError, match="may be written to by everybody"):
        owners.prepare(tmp_path)


def test_somebody_elses_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    if mine != 0:  # root's is trusted
        with pytest.raises(SettingsError, match=f"belongs to user {mine}; user 54321 or root was expected"):
            owners.prepare(tmp_path)
    else:
        owners.prepare(tmp_path)
        os.chown(tmp_path, 12345, -1)
        with pytest.raises(SettingsError, match="belongs to user 12345; user 54321 or root was expected"):
            owners.prepare(tmp_path)


# --- owners --------------------------------------------------------------------------------------


def test_an_owner_lives_until_it_lets_go(tmp_path: Path) -> None:
    one, other = owners.Owner(tmp_path, BOOT), owners.Owner(tmp_path, BOOT)
    assert one.token != other.token
    assert list(owners.dead(tmp_path)) == []
    assert owners.is_alive(tmp_path, one.token) is True
    one.leave()
    assert owners.is_alive(tmp_path, one.token) is False
    assert owners.is_alive(tmp_path, other.token) is True
    assert list(owners.dead(tmp_path)) == [one.token]
    owners.forget(tmp_path, one.token)
    assert owners.is_alive(tmp_path, one.token) is None
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_an_owner_whose_file_was_removed_has_it_again(tmp_path: Path) -> None:
    owner = owners.Owner(tmp_path, BOOT)
    owner.restore()
    owners.forget(tmp_path, owner.token)
    assert owners.is_alive(tmp_path, owner.token) is None
    owner.restore()
    assert owners.is_alive(tmp_path, owner.token) is True
    owner.close()


def test_no_place_for_an_owner(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be written to"):
        owners.Owner(tmp_path / "gone", BOOT)


# --- boots ---------------------------------------------------------------------------------------


def test_the_ledger_of_an_earlier_boot_is_removed(tmp_path: Path) -> None:
    earlier = owners.Owner(tmp_path, "earlier")
    Ledger(tmp_path, "earlier").close()
    now = owners.Owner(tmp_path, BOOT)
    Ledger(tmp_path, BOOT).close()
    earlier.leave()
    remove_earlier(tmp_path, BOOT)
    assert {path.name for path in tmp_path.iterdir()} == {f"ledger-{BOOT}.db", f"owner-{now.token}", "opening"}
    now.close()


def test_the_ledger_of_another_host_stays(tmp_path: Path) -> None:
    theirs = owners.Owner(tmp_path, "theirs")
    Ledger(tmp_path, "theirs").close()
    remove_earlier(tmp_path, BOOT)
    assert path_of(tmp_path, "theirs").exists()
    assert owners.is_alive(tmp_path, theirs.token) is True
    theirs.close()


# --- overview ------------------------------------------------------------------------------------


def test_an_overview_where_there_is_nothing(tmp_path: Path) -> None:
    assert overview(tmp_path / "gone") == []
    assert overview(tmp_path) == []
    path_of(tmp_path, boot_id()).touch()  # somebody is making it
    assert overview(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_an_overview(tmp_path: Path) -> None:
    alive, dead = owners.Owner(tmp_path, "x"), owners.Owner(tmp_path, "x")
    ledger = Ledger(tmp_path, boot_id())
    ledger.write(replace(ONE, owner=alive.token))
    ledger.write(replace(TWO, owner=dead.token))
    dead.leave()
    one, two = overview(tmp_path)
    assert (one.name, one.worker, one.resources, one.gpus, one.since) == ("one", "w", ONE.wanted, ("0",), 5.0)
    assert (one.waiting, one.dead) == (False, False)
    assert (two.name, two.waiting, two.dead) == ("two", True, True)
    ledger.close()
    assert [line.name for line in overview(tmp_path)] == ["one", "two"]  # with nobody's connection open
    alive.close()


def test_an_overview_of_what_is_no_ledger(tmp_path: Path) -> None:
    path_of(tmp_path, boot_id()).write_text("no database" * 100)
    with pytest.raises(UnavailableError, match="can't be used"):
        overview(tmp_path)
