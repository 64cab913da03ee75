"""The link check finds what is broken and lets pass what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs_links import main


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "queues.md").write_text("# Queues\n\n## The `queues.yaml` file\n")
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "[all](docs/queues.md)",
        "[all](/docs/queues.md 'title')",
        "[the file](docs/queues.md#the-queuesyaml-file)",
        "[below](#page)",
        "![plan](docs)",
        "[elsewhere](https://example.org/x.md) <mailto:a@example.org>",
        "`[code](nowhere.md)`",
        "```\n[code](nowhere.md)\n```",
        "[ref]\n\n[ref]: docs/queues.md",
    ],
)
def test_right(pages: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (pages / "README.md").write_text(f"# Page\n{text}\n")
    assert main(pages) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["[gone](docs/gone.md)", "[all](docs/queues.md#gone)", "[below](#gone)", "[ref]\n\n[ref]: docs/gone.md"],
)
def test_wrong(pages: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (pages / "README.md").write_text(f"# Page\n{text}\n")
    assert main(pages) == 1
    assert "README.md:" in capsys.readouterr().err
