"""The plot is well-formed SVG in which every bar fits, whatever was measured."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bars import WIDTH, Bar, Group, draw

_SVG = "{http://www.w3.org/2000/svg}"
_words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=20)
_bars = st.builds(Bar, _words, st.none() | st.floats(0, 1e9), _words, st.booleans())
_groups = st.lists(st.builds(Group, _words, st.lists(_bars, max_size=5)), max_size=5)


@given(_words, _groups)
def test_it_is_well_formed_and_everything_is_within(title: str, groups: list[Group]) -> None:
    root = xml.fromstring(draw(title, groups))
    height = float(root.get("height", "0"))
    for rect in root.iter(f"{_SVG}rect"):
        x, y, width, tall = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width < WIDTH and 0 <= y <= y + tall < height
        assert width > 0, "a short bar can be seen too"
    shown = sum(bar.value is not None for group in groups for bar in group.bars)
    assert len(list(root.iter(f"{_SVG}rect"))) == shown


def test_lengths_are_as_the_values_within_a_group() -> None:
    groups = [Group("a", [Bar("x", 1.0, "1"), Bar("y", 4.0, "4")]), Group("b", [Bar("z", 1000.0, "1000")])]
    first, second, third = (float(r.get("width", "0")) for r in xml.fromstring(draw("t", groups)).iter(f"{_SVG}rect"))
    assert (second, third) == (4 * first, second)


def test_it_follows_the_readers_theme() -> None:
    assert "prefers-color-scheme: dark" in draw("t", [])
