"""celeriac clean: what ended runs left goes, and never what something points to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, text, update

from celeriac.engine import clean as cleaning
from celeriac.engine.clean import ASIDE, Cleaned, Wanted, clean, unknown
from celeriac.job.kept import Kept
from celeriac.journal.tables import attempts, runs
from tests.unit.engine_documents import output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, world

DAY = 86400.0


def play(words: Sequence[str]) -> str:
    if "13" in words:
        raise Exit(1, "unlucky")
    return words[0]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", play) as made:
        yield made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A step whose file is the run's output, and one whose file nobody wants."""
    file = tool("a", outputs={"out": "stdout"}, stdout="made.txt")
    steps = {"wanted": step(file, {"a": "x"}), "other": step(file, {"a": "x"})}
    return write(tmp_path, workflow({"x": "int"}, steps, {"o": output("wanted/out")}))


def at(value: Any) -> Path:
    """Return the path of a File."""
    return Path(urlsplit(value["location"]).path)


def finished(cluster: World, document: Path, x: int = 1, *, days: float = 20.0, **options: Any) -> str:
    """Run to the end, so many days ago, with real files as outputs."""
    run = str(cluster.finished(document, {"x": x}, **options).id)
    age(cluster, run, days)
    return run


def age(cluster: World, run: str, days: float) -> None:
    with cluster.engine.database.begin() as connection:
        for column in ("created", "ended"):
            connection.execute(
                text(f"UPDATE runs SET {column} = {column} - :s WHERE id = :r"), {"s": days * DAY, "r": run}
            )


def put(cluster: World, run: str, path: str, **values: Any) -> None:
    """Set fields of a run's attempt at a node."""
    with cluster.engine.database.begin() as connection:
        statement = update(attempts).where(attempts.c.run_id == run, attempts.c.path == path)
        connection.execute(statement.values(**values))


def go(cluster: World, *ids: str, older: float | None = None, **wanted: Any) -> dict[str, Cleaned]:
    """Clean; return what became of each run."""
    made = Wanted(14 * DAY if older is None and not ids else older, list(ids) or None, **wanted)
    engine = cluster.engine
    return {one.run: one for one in clean(engine.database, engine.settings.runs, made)}


def scratch(cluster: World, run: str) -> Path:
    return Path(cluster.engine.settings.runs / run)


def made(cluster: World, run: str, path: str) -> Path:
    """Return the file that an attempt made."""
    (row,) = cluster.attempts(run, path)
    file = at(row.outputs["out"])
    assert file.is_relative_to(row.directory) and file.read_text() == "1"
    return file


def test_only_old_runs_are_cleaned(cluster: World, document: Path) -> None:
    old, young = finished(cluster, document), finished(cluster, document, days=1)
    found = go(cluster)
    assert set(found) == {old} and found[old].freed.bytes > 0
    assert not scratch(cluster, old).exists() or cluster.run(old).outputs
    assert scratch(cluster, young).is_dir()


def test_named_runs_are_cleaned_at_once(cluster: World, document: Path) -> None:
    one, other = finished(cluster, document, days=0), finished(cluster, document, days=0)
    assert set(go(cluster, one)) == {one}
    assert (scratch(cluster, other) / "outputs").is_dir()
    assert not go(cluster, other, older=DAY), "an age that is given counts for them too"


def test_what_a_run_gave_stays_and_all_else_goes(cluster: World, document: Path) -> None:
    run = finished(cluster, document)
    given = at(cluster.run(run).outputs["o"])
    assert given.is_relative_to(scratch(cluster, run))
    found = go(cluster)[run]
    assert given.read_text() == "1" and found.stays == 1 and found.problem is None
    left = [path for path in scratch(cluster, run).rglob("*") if path.is_file()]
    assert left == [given]


def test_a_dry_run_removes_nothing_and_says_the_same(cluster: World, document: Path) -> None:
    run = finished(cluster, document)
    put(cluster, run, "other", key="k")
    before = sorted(scratch(cluster, run).rglob("*"))
    wished = go(cluster, dry_run=True, forget=True)[run]
    assert sorted(scratch(cluster, run).rglob("*")) == before
    assert cluster.attempts(run, "other")[0].key == "k"
    done = go(cluster, forget=True)[run]
    assert (wished.freed, wished.stays, wished.forgotten) == (done.freed, done.stays, done.forgotten)
    assert done.forgotten == 1


def test_failed_runs_keep_their_directories_till_they_are_old(cluster: World, document: Path) -> None:
    young, old = finished(cluster, document, 13, days=1), finished(cluster, document, 13)
    go(cluster)
    (tried,) = cluster.attempts(young, "wanted")
    assert (Path(tried.directory) / "stderr.log").read_text() == "unlucky"
    assert not scratch(cluster, old).exists()


def test_what_may_be_reused_stays_until_it_is_forgotten(cluster: World, document: Path) -> None:
    run = finished(cluster, document)
    file = made(cluster, run, "other")
    put(cluster, run, "other", key="k")
    found = go(cluster)[run]
    assert file.exists() and found.forgotten == 0
    found = go(cluster, forget=True)[run]
    assert not file.exists() and found.forgotten == 1
    assert cluster.attempts(run, "other")[0].key is None


@pytest.mark.parametrize("state", ["RUNNING", "FAILED"])
def test_what_another_run_goes_on_with_stays(cluster: World, document: Path, state: str) -> None:
    """A run that took over outputs may be open, or be opened again: its own files are elsewhere."""
    giver, taker = finished(cluster, document), finished(cluster, document, days=1)
    file = made(cluster, giver, "other")
    (given,) = cluster.attempts(giver, "other")
    put(cluster, taker, "other", outputs=given.outputs, reused=given.id)
    with cluster.engine.database.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == taker).values(state=state))
    go(cluster, forget=True)
    assert file.exists()
    with cluster.engine.database.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == taker).values(state="FAILED"))
    age(cluster, taker, 20)
    go(cluster, forget=True)
    assert not file.exists()


def test_what_an_attempt_takes_over_just_now_stays(cluster: World, document: Path) -> None:
    """It runs, so that it has no outputs yet; it has told only whose it takes."""
    giver, taker = finished(cluster, document), finished(cluster, document, days=1)
    file = made(cluster, giver, "other")
    (given,) = cluster.attempts(giver, "other")
    put(cluster, giver, "other", key="k")
    put(cluster, taker, "other", reused=given.id, key="k", outputs=None, state="RUNNING", outcome=None)
    go(cluster, forget=True)
    assert file.exists() and cluster.attempts(giver, "other")[0].key is None


def test_a_cleaned_run_lets_go_of_what_it_took_over(cluster: World, document: Path) -> None:
    giver, taker = finished(cluster, document), finished(cluster, document)
    file = made(cluster, giver, "other")
    (given,) = cluster.attempts(giver, "other")
    put(cluster, taker, "other", outputs=given.outputs, reused=given.id, key="k")
    go(cluster)
    assert not file.exists() and cluster.attempts(taker, "other")[0].key is None


def test_inputs_of_open_runs_stay(cluster: World, document: Path, tmp_path: Path) -> None:
    run = finished(cluster, document)
    file = made(cluster, run, "other")
    (tmp_path / "second").mkdir()
    waiting = cluster.start(document, {"x": 2})
    with cluster.engine.database.begin() as connection:
        value = {"x": 2, "f": {"class": "File", "location": file.as_uri()}}
        connection.execute(update(runs).where(runs.c.id == waiting).values(inputs=value))
    go(cluster)
    assert file.exists()


def test_what_a_link_of_another_run_leads_to_stays(cluster: World, document: Path) -> None:
    giver, taker = finished(cluster, document), finished(cluster, document, days=1)
    file, link = made(cluster, giver, "other"), made(cluster, taker, "other")
    link.unlink()
    link.symlink_to(file)
    go(cluster)
    assert link.read_text() == "1"


def test_open_runs_are_never_touched(cluster: World, document: Path) -> None:
    run = cluster.start(document, {"x": 1})
    cluster.deliver(cluster.take())
    age(cluster, run, 100)
    assert go(cluster) == {} and go(cluster, run) == {}


def test_a_run_that_is_opened_meanwhile_is_left_alone(
    cluster: World, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(cluster, document, 13)
    before = sorted(scratch(cluster, run).rglob("*"))
    walk = cleaning.removable

    def open_first(root: str, kept: Kept) -> Iterator[str]:
        with cluster.engine.database.begin() as connection:
            connection.execute(update(runs).where(runs.c.id == run).values(state="RUNNING", ended=None))
        return walk(root, kept)

    monkeypatch.setattr(cleaning, "removable", open_first)
    assert go(cluster)[run].problem == "it was opened again"
    assert sorted(scratch(cluster, run).rglob("*")) == before


def test_a_directory_that_is_a_link_is_left_alone(cluster: World, document: Path, tmp_path: Path) -> None:
    run = finished(cluster, document)
    scratch(cluster, run).rename(tmp_path / "elsewhere")
    scratch(cluster, run).symlink_to(tmp_path / "elsewhere")
    assert "is a link" in str(go(cluster)[run].problem)
    assert (tmp_path / "elsewhere").is_dir()


def test_directories_of_unknown_runs_are_named(cluster: World, document: Path) -> None:
    finished(cluster, document)
    (cluster.engine.settings.runs / "foreign").mkdir()
    go(cluster)
    assert unknown(cluster.engine.database, cluster.engine.settings.runs) == [cluster.engine.settings.runs / "foreign"]


def test_what_a_killed_clean_had_moved_aside_goes_with_the_next(cluster: World, document: Path) -> None:
    run = finished(cluster, document)
    left = cluster.engine.settings.runs / f"{ASIDE}{run}-0000"
    (left / "0").mkdir(parents=True)
    go(cluster)
    assert not left.exists()


def test_runs_with_a_place_of_their_own(cluster: World, document: Path, tmp_path: Path) -> None:
    run = finished(cluster, document, 13, scratch=str(tmp_path / "fast disk"))
    assert (tmp_path / "fast disk" / run).is_dir()
    go(cluster)
    assert list((tmp_path / "fast disk").iterdir()) == []
    with cluster.engine.database.read() as connection:
        assert connection.execute(select(runs.c.state).where(runs.c.id == run)).scalar_one() == "FAILED"
