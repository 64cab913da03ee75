"""celeriac clean, the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.commands import Desk, desk

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'head -c 1000000 /dev/zero > big; echo result; echo remark >&2; exit $0']
inputs: {code: {type: int, default: 0, inputBinding: {}}}
outputs: {out: {type: stdout}}
stdout: out.txt
"""


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    made = desk(tmp_path)
    (made.directory / "tool.cwl").write_text(TOOL)
    return made


def run(here: Desk, *words: str, code: int = 0) -> str:
    here("run", "--no-container", "--quiet", "--leave-tmpdir", "--outdir", "results", "tool.cwl", *words, code=code)
    return here.newest()


def test_clean(here: Desk) -> None:
    good, bad = run(here), run(here, "--code", "1", code=1)
    data = here.json("clean")
    assert (data["runs"], data["bytes"], data["dry_run"]) == ([], 0, False), "they are not old"
    data = here.json("clean", "--older", "0s", "--dry-run", "--forget")
    assert {one["id"] for one in data["runs"]} == {good, bad} and data["bytes"] > 2_000_000
    assert Path(data["runs"][0]["directory"]).is_dir()
    text = here("clean", bad).stdout
    assert text.splitlines()[1].split()[:2] == [bad, "FAILED"] and "freed in 1 run" in text
    assert not (here.home / "runs" / bad).exists() and (here.home / "runs" / good).is_dir()
    here("clean", "--older", "0s", "--forget")
    assert not (here.home / "runs" / good).exists()
    assert json.loads(here("outputs", good).stdout)["out"]["path"] == str(here.directory / "results" / "out.txt")
    assert (here.directory / "results" / "out.txt").read_text() == "result\n"
    assert here.json("status", good)["state"] == "SUCCESS"


def test_the_cache_of_documents(here: Desk) -> None:
    run(here)
    kept = here.home / "cache" / "documents"
    assert len(list(kept.iterdir())) == 2
    data = here.json("clean", "--cache", "--dry-run")
    assert data["cache"]["files"] >= 4 and data["cache"]["bytes"] > 1000 and len(list(kept.iterdir())) == 2
    assert here("clean").stdout == "0 KiB freed in 0 runs\n" and kept.is_dir()
    assert "freed of what was kept of documents" in here("clean", "--cache").stdout
    assert not kept.exists()
    assert here.json("clean", "--cache")["cache"] == {"files": 0, "bytes": 0}
    run(here)


def test_what_can_t_be_cleaned_is_said(here: Desk) -> None:
    run(here)
    (here.home / "runs" / "foreign").mkdir()
    done = here("clean", "nowhere", code=1)
    assert "there is no run 'nowhere'" in done.stderr
    assert f"left alone, since no run of this journal has it: {here.home}/runs/foreign" in done.stdout
    assert "'3x'" in here("clean", "--older", "3x", code=1).stderr
