"""The temporary directories of tools: each finds its own empty, and one that was left so serves the next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.engine.temporary import TemporaryDirectories
from tests.unit.engine_documents import SCATTER, output, step, tool, workflow, write
from tests.unit.engine_harness import Exit, World, add, world

ITEMS = 6


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home") as made:
        yield made


def _used(cluster: World, tmp_path: Path, leave: Callable[[Path], Any], **options: Any) -> list[Path]:
    """Run a scatter whose items do something to their directory; return what these were, by item."""
    used: list[Path] = []

    def use(words: Sequence[str]) -> Any:
        place = Path(cluster.commands[-1].env["TMPDIR"])
        assert place.is_dir() and not list(place.iterdir()) and os.access(place, os.W_OK)
        used.append(place)
        leave(place)
        return add(words)

    cluster.play = use
    each = step(tool("a"), {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"s": each}, {"o": output("s/out")}, SCATTER))
    run = cluster.start(document, {"n": list(range(ITEMS))}, **options)
    cluster.drain()
    assert cluster.run(run).state == "SUCCESS" and len(used) == ITEMS
    return used


def test_one_that_was_left_as_it_was_serves_the_next_tool(cluster: World, tmp_path: Path) -> None:
    assert len(set(_used(cluster, tmp_path, lambda place: None))) == 1


@pytest.mark.parametrize(
    "leave",
    [
        lambda place: (place / "left").write_text("x"),
        lambda place: (place / "in").mkdir(),
        lambda place: place.chmod(0o500),
        lambda place: place.rmdir(),
    ],
    ids=["a file", "a directory", "closed", "removed"],
)
def test_one_that_was_used_is_gone_and_the_next_tool_has_another(
    cluster: World, tmp_path: Path, leave: Callable[[Path], Any]
) -> None:
    used = _used(cluster, tmp_path, leave)
    assert len(set(used)) == ITEMS
    assert not [place for place in used if place.exists()]


def test_one_of_a_tool_that_failed_is_gone(cluster: World, tmp_path: Path) -> None:
    used: list[Path] = []

    def use(words: Sequence[str]) -> Any:
        used.append(Path(cluster.commands[-1].env["TMPDIR"]))
        raise Exit(1)

    cluster.play = use
    each = step(tool("a"), {"a": "n"}, scatter="a")
    document = write(tmp_path, workflow({"n": "int[]"}, {"s": each}, {"o": output("s/out")}, SCATTER))
    cluster.start(document, {"n": list(range(ITEMS))}, on_error="continue")
    cluster.drain()
    assert len(set(used)) == ITEMS and not [place for place in used if place.exists()]


def test_each_has_its_own_where_they_are_to_stay(cluster: World, tmp_path: Path) -> None:
    used = _used(cluster, tmp_path, lambda place: (place / "left").write_text("x"), keep_scratch=True)
    assert len(set(used)) == ITEMS
    assert all((place / "left").exists() for place in used)


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.booleans()), max_size=40))
def test_no_two_have_the_same_at_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, bool]]
) -> None:
    home, directories = tmp_path_factory.mktemp("home"), TemporaryDirectories()
    taken: list[tuple[Path, Path]] = []
    for takes, number, dirty in steps:
        run = home / str(number)
        if takes or not taken:
            place = directories.take(run)
            place.mkdir(parents=True, exist_ok=True)
            assert place.parent == run and not list(place.iterdir())
            assert place not in [other for _, other in taken]
            taken.append((run, place))
        else:
            owner, place = taken.pop(number % len(taken))
            if dirty:
                (place / "left").write_text("x")
            assert directories.keep(owner, place) is not dirty
