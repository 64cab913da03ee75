"""A picture of groups of bars as SVG. It takes its colours from the reader's theme, light or dark.

Each group has a scale of its own, from 0 to its longest bar: what is compared stands together, and a group
of seconds beside one of minutes stays readable without a logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as xml

WIDTH = 760
_LABEL, _LONGEST, _NUMBER = 170, 440, 8  # where labels end; the longest bar; the gap before its number
_BAR, _ROW, _TITLE, _GAP, _EDGE = 12, 18, 22, 12, 14  # heights, from the top of a bar to that of the page
_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .quiet { fill: #59636e }
.bar { fill: #afb8c1 } .ours { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 } .bar { fill: #57606a } .ours { fill: #3fb950 }
}
"""


@dataclass(frozen=True)
class Bar:
    """One value; None has no bar, and its text says why."""

    label: str
    value: float | None
    text: str
    ours: bool = False


@dataclass(frozen=True)
class Group:
    """Bars that are compared with each other."""

    title: str
    bars: Sequence[Bar]


def draw(title: str, groups: Sequence[Group]) -> str:
    """Return the picture."""
    height = 2 * _EDGE + _ROW + sum(_TITLE + _ROW * len(group.bars) + _GAP for group in groups)
    root = xml.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=str(WIDTH),
        height=str(height),
        role="img",
    )
    xml.SubElement(root, "title").text = title
    xml.SubElement(root, "style").text = _STYLE
    _text(root, 0, _EDGE + _BAR, title, "quiet")
    top = _EDGE + _ROW + _GAP
    for group in groups:
        top = _group(root, group, top)
    return xml.tostring(root, encoding="unicode") + "\n"


def _group(root: xml.Element, group: Group, top: int) -> int:
    """Draw a group; returns where the next one begins."""
    _text(root, 0, top + _BAR, group.title, "title")
    top += _TITLE
    longest = max((bar.value or 0.0 for bar in group.bars), default=0.0) or 1.0
    for bar in group.bars:
        _bar(root, bar, top, longest)
        top += _ROW
    return top + _GAP


def _bar(root: xml.Element, bar: Bar, top: int, longest: float) -> None:
    base = top + _BAR - 2
    _text(root, _LABEL, base, bar.label, "label", anchor="end")
    left, length = _LABEL + _NUMBER, 0.0
    if bar.value is not None:
        length = max(1.0, _LONGEST * bar.value / longest)
        place = {"x": str(left), "y": str(top), "width": f"{length:.1f}", "height": str(_BAR), "rx": "2"}
        xml.SubElement(root, "rect", {**place, "class": "bar ours" if bar.ours else "bar"})
    _text(root, left + length + _NUMBER, base, bar.text, "number" if bar.value is not None else "quiet")


def _text(root: xml.Element, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
    place = {"x": f"{x:.1f}", "y": str(y), "class": kind, "text-anchor": anchor}
    xml.SubElement(root, "text", place).text = text
