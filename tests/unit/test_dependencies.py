"""docs/decisions/0002-dependencies.md gives a reason for each dependency, and for no other."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "decisions" / "0002-dependencies.md"


def test_every_dependency_has_its_reason() -> None:
    assert explained() == installed()


def installed() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    return {_name(line) for text in lists for line in text.split("\n") if line.strip()}


def explained() -> set[str]:
    cells = re.findall(r"^\| ([^|]+) \|", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return {_name(word) for cell in cells if cell not in ("dependency", "---") for word in cell.split(",")}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~!;, ]", requirement.strip())[0].lower()
