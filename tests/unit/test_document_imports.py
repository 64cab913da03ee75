"""Files that import one another: a circle is named before anybody follows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.document.imports import Imports
from celeriac.document.load import load
from celeriac.errors import DocumentError

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
requirements: {$import: REQUIREMENTS}
inputs: {}
outputs: {}
"""


def _write(directory: Path, **files: str) -> str:
    for name, text in files.items():
        path = directory / (name.replace("__", "/") + ".cwl")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return str(directory / "tool.cwl")


@pytest.mark.parametrize(
    ("files", "around"),
    [
        ({"tool": TOOL.replace("REQUIREMENTS", "tool.cwl")}, "tool.cwl -> tool.cwl"),
        ({"tool": TOOL.replace("REQUIREMENTS", "./tool.cwl#main")}, "tool.cwl -> tool.cwl"),
        ({"tool": TOOL.replace("REQUIREMENTS", "b.cwl"), "b": "- $import: b.cwl\n"}, "b.cwl -> b.cwl"),
        (
            {"tool": TOOL.replace("REQUIREMENTS", "b.cwl"), "b": "- {$import: c/c.cwl}", "c__c": "- $import: ../b.cwl"},
            "c.cwl -> b.cwl -> c.cwl",
        ),
    ],
)  # fmt: skip
def test_a_circle_is_named(tmp_path: Path, files: dict[str, str], around: str) -> None:
    with pytest.raises(DocumentError) as raised:
        load(_write(tmp_path, **files))
    assert f"leads back to the file that it stands in: {around}" in str(raised.value)


def test_what_is_imported_twice_or_has_the_same_name_elsewhere_is_no_circle(tmp_path: Path) -> None:
    names = "- {envName: A, envValue: b}\n"
    own = "class: EnvVarRequirement\nenvDef: {$import: NAMES}\n"
    files = {
        "b": "- $import: in/tool.cwl\n- {$import: other.cwl}\n",
        "in__tool": own.replace("NAMES", "../names.cwl"),
        "other": own.replace("NAMES", "names.cwl"),
        "names": names,
    }
    found = load(_write(tmp_path, tool=TOOL.replace("REQUIREMENTS", "b.cwl"), **files))
    assert len(found.snapshot.texts) == 5


def test_each_file_is_gone_through_once() -> None:
    """Two files in each of many layers, both imported by both above: there are 2^60 ways through them."""
    imports = Imports()
    for layer in reversed(range(60)):
        below = "".join(f"- $import: {layer + 1}{side}.cwl\n" for side in "ab")
        for side in "ab":
            imports.follow(f"file:///d/{layer}{side}.cwl", below)
    with pytest.raises(DocumentError):
        imports.follow("file:///d/60a.cwl", "- $import: 0b.cwl\n")


def _is_circle(edges: dict[int, set[int]]) -> bool:
    left = dict(edges)
    while free := [node for node, to in left.items() if not to & left.keys()]:
        for node in free:
            del left[node]
    return bool(left)


@given(edges=st.dictionaries(st.integers(0, 5), st.sets(st.integers(0, 5), max_size=3), max_size=6))
def test_whatever_the_order_a_circle_is_found_by_its_last_file(edges: dict[int, set[int]]) -> None:
    imports, found = Imports(), False
    for node, to in edges.items():
        try:
            imports.follow(f"file:///d/{node}.cwl", "".join(f"- $import: {one}.cwl\n" for one in to))
        except DocumentError:
            found = True
    assert found == _is_circle(edges)
