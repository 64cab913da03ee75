"""A loaded process serves many jobs, so binding one job's inputs must leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwltool.context import RuntimeContext

from celeriac.document.binding import bind
from celeriac.document.load import load

TOOL = """
cwlVersion: v1.2
class: ExpressionTool
inputs: {value: Any}
outputs: {}
expression: $({})
"""


def test_any_takes_values_of_every_type_one_after_another(tmp_path: Path) -> None:
    (tmp_path / "any.cwl").write_text(TOOL)
    process = load(str(tmp_path / "any.cwl")).process
    context = RuntimeContext({"outdir": "/var/empty", "tmpdir": "/var/empty", "stagedir": "/var/empty"})
    file = {"class": "File", "location": (tmp_path / "any.cwl").as_uri(), "basename": "any.cwl"}
    for value in ({"a": 1}, ["x", 2], file, "text", {"b": [file]}, 3, [{"c": None}]):
        assert bind(process, {"value": value}, context).job["value"] is not None


@pytest.mark.parametrize("first, second", [(["x"], {"a": 1}), ({"a": 1}, ["x"])])
def test_the_schema_is_the_same_after_a_job(tmp_path: Path, first: object, second: object) -> None:
    (tmp_path / "any.cwl").write_text(TOOL)
    process = load(str(tmp_path / "any.cwl")).process
    context = RuntimeContext({"outdir": "/var/empty", "tmpdir": "/var/empty", "stagedir": "/var/empty"})
    bind(process, {"value": first}, context)
    assert bind(process, {"value": second}, context).job["value"] == second
