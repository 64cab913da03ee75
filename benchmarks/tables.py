"""Tables before they are drawn: on a terminal, or as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

#: Columns of a page that no terminal shows.
_WIDTH = 120


def paper() -> Console:
    """Return where tables are printed: standard output, wide enough if it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


@dataclass(frozen=True)
class Sheet:
    """A table: the first row is the head, the first columns are words, the others figures; notes stand under it."""

    title: str
    rows: list[list[str]]
    words: int = 1
    notes: Sequence[str] = ()

    def draw(self, console: Console) -> None:
        """Print it on a terminal."""
        head, *rows = self.rows
        table = Table(title=self.title, title_justify="left")
        for index, name in enumerate(head):
            table.add_column(name, justify="left" if index < self.words else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table, *self.notes, sep="\n")

    def markdown(self) -> str:
        """Return it as Markdown, with its notes, without its title."""
        head, *rest = self.rows
        rule = ["---" if index < self.words else "---:" for index in range(len(head))]
        table = "\n".join(
            f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in [head, rule, *rest]
        )
        return "\n\n".join([table, *self.notes])


def page(title: str, facts: dict[str, object], sheets: Sequence[Sheet]) -> str:
    """Return a page of Markdown: the facts of the machine, and each sheet under its title."""
    parts = [f"# {title}", _facts(facts)]
    for sheet in sheets:
        parts += [f"## {sheet.title}", sheet.markdown()]
    return "\n\n".join(parts) + "\n"


def _facts(machine: dict[str, object]) -> str:
    lines = [f"- {name.replace('_', ' ')}: {value}" for name, value in machine.items() if name != "versions"]
    versions = machine.get("versions")
    if isinstance(versions, dict):
        lines.append("- versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Return a figure with as many digits as it is worth."""
    if value is None:
        return "-"
    if value >= 10:
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
