"""Put the results into the pages that show them, between their marks: ``python -m benchmarks.readme``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import growth, report
from benchmarks.cli import RESULTS
from benchmarks.growth import Growth
from benchmarks.report import Report
from benchmarks.runners import CHECKOUT
from benchmarks.tables import Sheet, number
from benchmarks.targets import BASELINE, FIGURES, GROWTH, MEMORY, OURS, TIME

PAGE = CHECKOUT / "benchmarks" / "README.md"


def main() -> int:
    """Bring all pages up to date; return 0."""
    for page, (mark, make) in pages().items():
        page.write_text(inserted(page.read_text(), mark, make(page.parent)))
    return 0


def pages() -> dict[Path, tuple[str, Callable[[Path], str]]]:
    """Return each page with the mark of its part, and what makes that part for the page's folder."""
    return {
        CHECKOUT / "README.md": ("benchmarks", results),
        PAGE: ("targets", lambda folder: targets()),
    }


def inserted(page: str, mark: str, part: str) -> str:
    """Return a page with ``part`` between ``<!-- mark -->`` and ``<!-- /mark -->``; raises ValueError without these."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin.strip()} ... {end}")
    return f"{before}{begin}{part}\n{end}{after}"


def results(folder: Path) -> str:
    """Return tables and plots of the last sessions as Markdown, with links for a page in ``folder``."""
    last = Report.load(RESULTS)
    parts = [_words(last.machine), _picture(report.NAME, "Median seconds of each runner", folder)]
    parts += [_short(sheet) for sheet in (last.side_by_side(), last.others()) if len(sheet.rows) > 1]
    if (RESULTS / f"{growth.NAME}.json").exists():
        grown = Growth.load(RESULTS)
        parts += ["Celeriac alone, as it grows (`make bench SCALING=1`):"]
        parts += [_picture(growth.NAME, "Cost per item and run as they grow", folder)]
        parts += [_short(sheet) for sheet in grown.sheets() if len(sheet.rows) > 1]
    whole, how = (os.path.relpath(path, folder) for path in (RESULTS / f"{report.NAME}.md", PAGE))
    parts.append(f"The whole report is in [{whole}]({whole}), how to read it in [{how}]({how}).")
    return "\n\n".join(parts)


def _words(machine: dict[str, object]) -> str:
    return (
        "Seconds of whole processes from start to exit, medians, of one run of `make bench` on\n"
        f"{machine['cores']} cores ({machine['date']}). A ratio is Celeriac's seconds over those of cwltool; in bold\n"
        "it misses its target. Where there is a dash, that runner was not measured."
    )


def _short(sheet: Sheet) -> str:
    """Return a table without the reasons why something was not measured; the whole report has them."""
    rows = [["-" if cell.startswith("skipped") else cell for cell in row] for row in sheet.rows]
    return replace(sheet, rows=rows).markdown()


def _picture(name: str, text: str, folder: Path) -> str:
    return f"![{text}]({os.path.relpath(RESULTS / f'{name}.svg', folder)})"


def targets() -> str:
    """Return the targets as a table."""
    kind, large, small, slower = GROWTH
    much, little, larger = MEMORY
    rows = [[f"{work}: seconds, {OURS} / {BASELINE}", number(most)] for work, most in TIME.items()]
    rows.append([f"{kind}-{large}: {OURS}'s cost per item, over {kind}-{small}", number(slower)])
    rows.append([f"{much}: {OURS}'s peak memory, over {little}", number(larger)])
    rows += [[f"{gauge}: {what}", number(most)] for (gauge, what), most in FIGURES.items()]
    return Sheet("Targets", [["figure", "at most"], *rows]).markdown()


if __name__ == "__main__":
    sys.exit(main())
