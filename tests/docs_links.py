"""Check that every relative link in the Markdown files leads to a file, and to a heading if it names one.

``python tests/docs_links.py [FOLDER]``: prints each broken link as ``file:line`` and exits with 1.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_FENCE = re.compile(r"^\s*(```|~~~)")
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\]\(<?([^)\s>]+)[^)]*\)|^\s*\[[^\]]+\]:\s+(\S+)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")
_SKIPPED = {"out", "build", "work", "node_modules"}


def main(root: Path) -> int:
    """Print what is broken below ``root``; return the exit code."""
    pages = sorted(_pages(root))
    broken = [line for page in pages for line in broken_links(page, root)]
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{len(pages)} pages, {len(broken)} broken links")
    return 1 if broken else 0


def broken_links(page: Path, root: Path) -> Iterator[str]:
    """Yield a message for each link of ``page`` that leads nowhere."""
    for number, target in _links(page):
        path, _, heading = unquote(target).partition("#")
        file = page if not path else root / path[1:] if path.startswith("/") else page.parent / path
        place = f"{page.relative_to(root)}:{number}"
        if not file.exists():
            yield f"{place}: there is no {path}"
        elif heading and file.suffix == ".md" and heading not in _headings(file):
            yield f"{place}: {file.name} has no heading #{heading}"


def _pages(root: Path) -> Iterator[Path]:
    for page in root.rglob("*.md"):
        folders = page.relative_to(root).parts[:-1]
        if not any(name.startswith(".") or name in _SKIPPED for name in folders):
            yield page


def _links(page: Path) -> Iterator[tuple[int, str]]:
    for number, line in _prose(page):
        for match in _LINK.finditer(_CODE.sub("", line)):
            target = match[1] or match[2]
            if not _ELSEWHERE.match(target):
                yield number, target


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside of fenced code."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _headings(page: Path) -> set[str]:
    """Return the anchors of a page, made as GitHub makes them: the words, in lower case, joined by dashes."""
    titles = [line.lstrip("#") for _, line in _prose(page) if re.match(r"#{1,6}\s", line)]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
