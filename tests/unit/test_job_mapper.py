"""Where a plain process finds its inputs (celeriac/job/mapper.py)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.job.mapper import InputMapper

_NAMES = st.sampled_from(["a", "b", "0", "1", "a.bai"])


def _file(root: Path, number: int, name: str, beside: list[str]) -> dict[str, Any]:
    folder = root / str(number)
    folder.mkdir(exist_ok=True)
    made = []
    for each in (name, *beside):
        path = folder / each
        path.touch()
        made.append({"class": "File", "location": path.as_uri(), "basename": each})
    return {**made[0], "secondaryFiles": made[1:]}


def _map(files: list[dict[str, Any]]) -> dict[str, str]:
    # cwltool hands over what belongs to a file beside it, too
    handed = [one for file in files for one in (file, *file["secondaryFiles"])]
    return {where: entry.target for where, entry in InputMapper(handed, "/", "/in").items()}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_NAMES, st.lists(_NAMES, unique=True, max_size=2)), max_size=4))
def test_inputs_lie_apart_and_what_belongs_together_does_not(
    tmp_path: Path, wanted: list[tuple[str, list[str]]]
) -> None:
    files = [_file(tmp_path, n, name, [x for x in beside if x != name]) for n, (name, beside) in enumerate(wanted)]
    found = _map(files)
    homes = []
    for file in files:
        target = found[file["location"]]
        assert os.path.basename(target) == file["basename"]
        homes.append(os.path.dirname(target))
        for other in file["secondaryFiles"]:
            assert found[other["location"]] == f"{homes[-1]}/{other['basename']}"
    assert not homes or max(Counter(homes).values()) == 1
    assert not set(homes) & set(found.values()), "a file stands where a directory must be"


@pytest.mark.parametrize("beside", [[], ["a.bai", "b"]])
def test_one_input_needs_no_directory_of_its_own(tmp_path: Path, beside: list[str]) -> None:
    found = _map([_file(tmp_path, 0, "a", beside)])
    assert set(found.values()) == {f"/in/{name}" for name in ("a", *beside)}
