"""Tables: coloured in a terminal, plain aligned columns anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

#: What a state looks like in a terminal.
COLOURS = {
    "SUCCESS": "green",
    "RUNNING": "cyan",
    "FAILED": "bold red",
    "UPSTREAM_FAILED": "red",
    "CANCELED": "magenta",
    "CANCELING": "magenta",
    "SKIPPED": "dim",
    "PENDING": "dim",
    "READY": "dim",
    "QUEUED": "yellow",
}


def terminal(stream: IO[str]) -> Console | None:
    """Return a console when the stream is a terminal that can show colours and move its cursor."""
    if not stream.isatty():
        return None  # without loading rich
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    return None if console.is_dumb_terminal else console


def show(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output. Columns that are empty in every row are left out."""
    used = [n for n in range(len(heads)) if any(row[n] for row in rows)]
    heads = [heads[n] for n in used]
    rows = [[row[n] for n in used] for row in rows]
    console = terminal(sys.stdout)
    if console is None:
        _plain(heads, rows)
    else:
        _rich(console, heads, rows)


def _plain(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    for row in (heads, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _rich(console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(head, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    console.print(table)
