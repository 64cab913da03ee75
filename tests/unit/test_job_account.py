"""What is told of a tool's command."""

from __future__ import annotations

from pathlib import Path

import pytest

from celeriac.container.base import Command
from celeriac.job.account import MOST, words


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("cat", "a"), ["cat", "a"]),
        (("x" * (MOST - 1),), ["x" * (MOST - 1)]),
        (("x" * MOST, "a"), ["..."]),
        (("cat", "x" * MOST), ["cat", "..."]),
    ],
)
def test_a_long_command_is_cut(argv: tuple[str, ...], told: list[str]) -> None:
    assert words(Command("name", argv, {}, "/", Path("out"), Path("err"))) == told
