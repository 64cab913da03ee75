"""Ranges of files, and what is below a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.api.errors import HttpError
from celeriac.api.files import open_below, span


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("", None), ("bytes=0-0", (0, 1)), ("bytes=0-", (0, 10)), ("bytes=3-5", (3, 6)),
        ("bytes=5-100", (5, 10)), ("bytes=-4", (6, 10)), ("bytes=-40", (0, 10)), ("bytes=5-3", None),
        ("bytes=0-1,3-4", None), ("items=0-1", None), ("bytes=a-b", None), ("bytes=-", None),
        ("bytes=0-" + "9" * 99, None),
    ],
)  # fmt: skip
def test_a_range(header: str | None, expected: tuple[int, int] | None) -> None:
    assert span(header, 10) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-0", 10), ("bytes=11-12", 10)]
)
def test_a_range_outside(header: str, size: int) -> None:
    with pytest.raises(HttpError) as caught:
        span(header, size)
    assert (caught.value.status, caught.value.headers) == (416, {"Content-Range": f"bytes */{size}"})


@given(st.text(alphabet="bytes=0123456789-, ", max_size=20), st.integers(0, 50))
def test_any_range_is_within(header: str, size: int) -> None:
    try:
        found = span(header, size)
    except HttpError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


def test_only_plain_files_below(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a").write_text("a")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "x").write_text("s")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    (root / "in").symlink_to("sub/a")
    os.mkfifo(root / "pipe")
    for name in ("sub/a", "in", "sub/../sub/a"):
        file = open_below(root, name)
        assert file is not None
        with file:
            assert file.read() == b"a"
    for name in ("out", "up/secret", "../secret", "../rooted/x", "/etc/passwd", "sub", "", ".", "pipe", "none", "a\0b"):
        assert open_below(root, name) is None
    assert open_below(tmp_path / "nowhere", "a") is None
    (tmp_path / "link").symlink_to(root)
    file = open_below(tmp_path / "link", "sub/a")
    assert file is not None
    file.close()
