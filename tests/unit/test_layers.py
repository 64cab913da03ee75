"""The rules of the layout that import-linter can't say."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("celeriac", "tasks", "queues", "config")
FOLDERS = (*PRODUCT, "tests", "benchmarks", "examples", "docs")
CANVAS = {"canvas", "chain", "group", "chord"}
LONGEST = 500


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def canvas_uses(source: str) -> Iterator[int]:
    """Yield the lines that take ``chain``, ``group``, ``chord`` or anything of ``celery.canvas``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and _is_celery(node.module):
            if node.module == "celery.canvas" or CANVAS & {name.name for name in node.names}:
                yield node.lineno
        elif isinstance(node, ast.Import) and any(name.name == "celery.canvas" for name in node.names):
            yield node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "celery" and node.attr in CANVAS:
                yield node.lineno


def _is_celery(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "celery"


def test_only_tasks_canvas_builds_chains_groups_and_chords() -> None:
    allowed = ROOT / "tasks" / "canvas.py"
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in python_files(*PRODUCT)
        if file != allowed
        for line in canvas_uses(file.read_text("utf-8"))
    ]
    assert not found, "move it to tasks/canvas.py"


@pytest.mark.parametrize(
    "source",
    [
        "from celery import Celery, chord",
        "from celery import group as many",
        "from celery import canvas",
        "from celery.canvas import Signature",
        "import celery.canvas",
        "import celery\ncelery.chain(one, two)",
    ],
)
def test_the_scan_sees(source: str) -> None:
    assert list(canvas_uses(source))


@pytest.mark.parametrize("source", ["from celery import Celery, signature", "from itertools import chain"])
def test_the_scan_lets_pass(source: str) -> None:
    assert not list(canvas_uses(source))


def test_import_celeriac_is_light() -> None:
    """A program that only submits pays for neither the application nor its heavy libraries."""
    heavy = {"tasks", "queues", "config", "docker", "cwltool", "sqlalchemy"}
    code = "import celeriac, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "celeriac" in loaded
    assert not heavy & loaded


def test_no_file_is_too_long_to_read() -> None:
    files = [*python_files(*FOLDERS), *ROOT.glob("*.py")]
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in files}
    assert lengths
    assert not {name: length for name, length in lengths.items() if length > LONGEST}, "split it by idea"
