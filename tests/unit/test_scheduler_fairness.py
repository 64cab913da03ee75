"""How much of a run is under way: enough that no slot idles, and no more than others can wait for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celeriac.scheduler.fairness import BUNDLE, PATIENCE, UNKNOWN, Width, share, width

SLOTS = st.integers(0, 500)
SECONDS = st.none() | st.floats(-1, 1e6)
WINDOWS = st.integers(1, 1000)
CHORDS = st.integers(1, 100)


@given(SLOTS, SECONDS, WINDOWS, CHORDS)
def test_at_least_two_items_a_slot_and_no_more_than_the_setting(
    slots: int, seconds: float | None, window: int, chord: int
) -> None:
    found = width(slots, seconds, window, chord)
    least = 2 * (slots or UNKNOWN)
    assert found.window >= least
    assert found.window <= max(window, least)


@given(SLOTS, SECONDS, WINDOWS, CHORDS)
def test_a_chord_is_a_small_part_of_the_window(slots: int, seconds: float | None, window: int, chord: int) -> None:
    found = width(slots, seconds, window, chord)
    assert 1 <= found.chord <= chord
    assert found.chord <= max(1, found.window // 4)


@given(SLOTS, SLOTS, SECONDS, WINDOWS, CHORDS)
def test_more_slots_never_make_it_narrower(
    one: int, other: int, seconds: float | None, window: int, chord: int
) -> None:
    few, many = sorted((one or UNKNOWN, other or UNKNOWN))
    assert width(few, seconds, window, chord).window <= width(many, seconds, window, chord).window
    assert width(few, seconds, window, chord).chord <= width(many, seconds, window, chord).chord


@given(SLOTS, st.floats(-1, 1e6), st.floats(-1, 1e6), WINDOWS, CHORDS)
def test_longer_items_never_make_it_wider(slots: int, one: float, other: float, window: int, chord: int) -> None:
    short, long = sorted((one, other))
    assert width(slots, long, window, chord).window <= width(slots, short, window, chord).window
    assert width(slots, None, window, chord).window <= width(slots, long, window, chord).window, "unknown is careful"


@given(st.integers(1, 500), st.floats(0.01, 1e6), CHORDS)
def test_what_waits_beside_the_slots_is_done_within_the_patience(slots: int, seconds: float, chord: int) -> None:
    found = width(slots, seconds, 10**9, chord)
    waiting = found.window - slots
    assert waiting <= slots or waiting * seconds <= slots * PATIENCE * (1 + 1e-9)


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_scatters_share_what_their_run_has(window: int, scatters: int) -> None:
    part = share(window, scatters)
    assert part >= 1, "each goes on"
    assert part * max(1, scatters) <= max(window, scatters, 1)
    assert share(window, scatters + 1) <= part


@given(st.integers(1, 500), st.floats(1e-4, 1e3), WINDOWS, CHORDS)
def test_a_message_is_a_part_of_a_chord_and_soon_done(slots: int, seconds: float, window: int, chord: int) -> None:
    found = width(slots, seconds, window, chord)
    assert 1 <= found.bundle <= found.chord
    assert found.bundle == 1 or found.bundle * seconds <= BUNDLE
    assert found.bundle == 1 or found.window // found.bundle >= 2 * slots, "enough messages for all slots"
    assert width(slots, None, window, chord).bundle == 1


def test_by_example() -> None:
    assert width(4, None, 256, 32) == Width(window=8, chord=2)
    assert width(4, 0.1, 256, 32) == Width(window=204, chord=32, bundle=1)
    assert width(4, 0.0, 256, 32) == Width(window=256, chord=32, bundle=32)
    assert width(4, 0.01, 256, 32) == Width(window=256, chord=32, bundle=10)
    assert width(32, 0.001, 256, 32) == Width(window=256, chord=32, bundle=4), "two messages a slot"
    assert width(4, 60.0, 256, 32) == Width(window=8, chord=2)
    assert width(0, None, 256, 32) == width(2, None, 256, 32) == Width(window=4, chord=1), "no worker has told yet"
    assert width(200, 60.0, 256, 32) == Width(window=400, chord=32), "more slots than the setting thought of"
    assert (share(256, 1), share(256, 3), share(4, 9)) == (256, 85, 1)
