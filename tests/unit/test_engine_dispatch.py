"""How attempts go out: each once, a run's share in the first lane, items in chords that are alike."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.engine.dispatch import FIRST, LATER, Dispatch, chords, lanes
from celeriac.resources import Resources
from celeriac.scheduler.fairness import Width

QUEUES = st.sampled_from(["default", "advanced", "gpu"])
SCATTERS = st.sampled_from(["align", "sort"])
WIDTH = st.builds(Width, st.just(64), st.integers(1, 5), st.integers(1, 5))
WIDTHS: st.SearchStrategy[dict[str | None, Width]] = st.fixed_dictionaries({"align": WIDTH, "sort": WIDTH})


def job(path: str, queue: str, scatter: str | None = None, ram: int = 256) -> Dispatch:
    return Dispatch(path, queue, {}, Resources(1, ram).to_json(), "tool", scatter=scatter)


JOBS = st.lists(st.tuples(QUEUES, SCATTERS, st.sampled_from([256, 512])), max_size=40).map(
    lambda found: [job(f"{scatter}[{i}]", queue, scatter, ram) for i, (queue, scatter, ram) in enumerate(found)]
)


@given(JOBS, st.dictionaries(QUEUES, st.integers(0, 20)), st.integers(0, 20))
def test_the_first_lane_holds_a_run_s_share_of_each_queue(
    jobs: list[Dispatch], taken: dict[str, int], most: int
) -> None:
    found = lanes(jobs, taken, most)
    assert len(found) == len(jobs) and set(found) <= {FIRST, LATER}
    for queue in {job.queue for job in jobs}:
        own = [lane for job, lane in zip(jobs, found, strict=True) if job.queue == queue]
        first = own.count(FIRST)
        assert first == min(len(own), max(0, most - taken.get(queue, 0))), "all that is free, and no more"
        assert own == [FIRST] * first + [LATER] * (len(own) - first), "who comes first goes first"


@given(JOBS, st.dictionaries(QUEUES, st.integers(0, 20)))
def test_what_is_taken_stays_as_it_was_told(jobs: list[Dispatch], taken: dict[str, int]) -> None:
    before = dict(taken)
    lanes(jobs, taken, 4)
    assert taken == before


def rows(jobs: list[Dispatch], most: int) -> list[tuple[Dispatch, dict[str, Any]]]:
    return [(job, job.row("run", lane)) for job, lane in zip(jobs, lanes(jobs, {}, most), strict=True)]


@given(JOBS, st.integers(0, 10), WIDTHS)
def test_chords_hold_each_attempt_once_and_never_mix(
    jobs: list[Dispatch], most: int, widths: dict[str | None, Width]
) -> None:
    pairs = rows(jobs, most)
    made = list(chords(pairs, widths))
    scatter_of = {row["id"]: job.scatter for job, row in pairs}
    assert Counter(row["id"] for row in chain(*chain(*made))) == Counter(row["id"] for _, row in pairs)
    for part in made:
        width = widths[scatter_of[part[0][0]["id"]]]
        kinds = {(scatter_of[row["id"]], row["queue"], row["lane"], str(row["granted"])) for row in chain(*part)}
        assert len(kinds) == 1, "one scatter, one queue, one lane, one grant"
        assert 1 <= len(list(chain(*part))) <= width.chord
        assert all(1 <= len(bundle) <= width.bundle for bundle in part)


@given(JOBS, st.integers(0, 10), WIDTHS)
def test_items_keep_their_order_and_no_chord_is_smaller_than_it_has_to_be(
    jobs: list[Dispatch], most: int, widths: dict[str | None, Width]
) -> None:
    pairs = rows(jobs, most)
    groups: dict[tuple[Any, ...], list[list[str]]] = {}
    scatter_of = {row["id"]: job.scatter for job, row in pairs}
    for part in chords(pairs, widths):
        first = part[0][0]
        key = (scatter_of[first["id"]], first["queue"], first["lane"], str(first["granted"]))
        groups.setdefault(key, []).append([row["id"] for row in chain(*part)])
    for (scatter, *kind), parts in groups.items():
        own = [
            row["id"]
            for job, row in pairs
            if [job.scatter, row["queue"], row["lane"], str(row["granted"])] == [scatter, *kind]
        ]
        assert [name for part in parts for name in part] == own
        assert all(len(part) == widths[scatter].chord for part in parts[:-1])


@given(JOBS)
def test_rows_have_names_of_their_own_and_all_that_the_journal_wants(jobs: list[Dispatch]) -> None:
    made = [row for _, row in rows(jobs, 4)]
    assert len({row["id"] for row in made}) == len(made)
    for row in made:
        assert set(row) == {
            "id", "run_id", "path", "queue", "asked", "granted", "tool", "number", "lane", "batch", "due",
        }  # fmt: skip
        assert row["run_id"] == "run" and row["batch"] is None


@pytest.mark.parametrize("gpus", [0, 2])
def test_amounts_come_back_as_resources(gpus: int) -> None:
    granted = Resources(1.5, 700, gpus)
    assert Resources(**granted.to_json()) == granted
