"""The pages show what the results say; nobody edits these parts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.readme import inserted, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: f"{page.parent.name}-{page.name}")
def test_a_page_is_up_to_date(page: Path) -> None:
    mark, make = pages()[page]
    text = page.read_text("utf-8")
    assert inserted(text, mark, make(page.parent)) == text, "python -m benchmarks.readme brings it up to date"


@given(before=st.text("ab\n"), old=st.text("cd\n"), new=st.text("ef\n"), after=st.text("gh\n"))
def test_only_what_is_between_the_marks_changes(before: str, old: str, new: str, after: str) -> None:
    page = f"{before}<!-- m -->\n{old}<!-- /m -->{after}"
    once = inserted(page, "m", new)
    assert once == f"{before}<!-- m -->\n{new}\n<!-- /m -->{after}"
    assert inserted(once, "m", new) == once


@pytest.mark.parametrize("page", ["", "<!-- m -->\n", "<!-- /m -->", "<!-- n -->\n<!-- /n -->"])
def test_a_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="<!-- m -->"):
        inserted(page, "m", "x")
