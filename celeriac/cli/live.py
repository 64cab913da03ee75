"""Progress in a terminal: a picture of the run that renews itself in place and vanishes at the end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from celeriac.cli.lines import count
from celeriac.cli.look import between, duration, error_of
from celeriac.cli.steps import StepView
from celeriac.states import NodeState

if TYPE_CHECKING:
    from celeriac.cli.moment import Moment

#: Steps shown at once, in a terminal that is high enough.
ROWS = 10
#: The narrowest and the widest bar, in columns.
BAR = (8, 30)

#: Hosts are shown from this width on.
WIDE = 80

_OPEN = (NodeState.RUNNING, NodeState.QUEUED, NodeState.READY, NodeState.PENDING)


class Screen:
    """Shows a run on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()
        # rich hides the cursor; a process that is killed or stopped here would leave it hidden
        console.show_cursor(True)
        self._logs = list(_follow_stderr())

    def show(self, seen: Moment) -> None:
        """Draw this moment."""
        self._live.update(picture(seen, self._console.width, self._console.height), refresh=True)

    def close(self) -> None:
        """Wipe the picture away; what was printed above it stays."""
        self._live.stop()
        for handler, stream in self._logs:
            handler.setStream(stream)
        self._logs = []


def _follow_stderr() -> Iterator[tuple[logging.StreamHandler[Any], IO[str]]]:
    """Have log messages appear above the picture: rich puts its own stream in the place of sys.stderr."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler and handler.stream is sys.__stderr__:
            handler.setStream(sys.stderr)
            yield handler, sys.__stderr__


def picture(seen: Moment, width: int, height: int) -> Group:
    """Draw a run: how far it is, what runs now, what failed last."""
    busy = sorted(
        (step for step in seen.view.steps if step.jobs and not step.over),
        key=lambda step: (not step.running, step.single, step.running_since or 0.0),
    )
    rows = max(1, min(ROWS, height - 3 - len(seen.failures)))
    parts: list[Any] = [_head(seen, width), _steps(seen, busy[:rows], width)]
    if len(busy) > rows:
        parts.append(Text(f"  and {len(busy) - rows} more", style="dim"))
    parts += [_failure(row, seen) for row in seen.failures]
    return Group(*parts)


def _head(seen: Moment, width: int) -> Table:
    words = [seen.counts(), duration(seen.seconds)]
    room = width - sum(len(word) + 2 for word in words) - 1
    cells: list[Any] = [Text(_short(seen.name, max(0, room)), style="bold")]
    room -= len(seen.name)
    if room > len(seen.run):
        cells[0] += Text(f" {seen.run}", style="not bold dim")
        room -= len(seen.run) + 3
    if room >= BAR[0]:
        ended = seen.total - seen.waiting - seen.count(*_OPEN)
        cells.append(ProgressBar(total=max(1, seen.total), completed=ended, width=min(BAR[1], room)))
    return _grid([[*cells, *words]])


def _steps(seen: Moment, steps: list[StepView], width: int) -> Table:
    rows: list[list[Any]] = []
    states = [step.state.lower() if step.single else count(step) for step in steps]
    room = max(10, width - max(map(len, states), default=0) - (28 if width >= WIDE else 12))
    for step, words in zip(steps, states, strict=True):
        state = Text(words)
        state.stylize("red" if step.failed else "cyan" if step.running else "dim")
        since = duration(between(step.running_since, seen.now)) if step.running else ""
        host = step.host or "" if step.hosts < 2 else "several hosts"
        rows.append([f"  {_short(step.step or seen.name, room)}", state, since])
        if width >= WIDE:
            rows[-1].append(Text(host if step.running else "", style="dim"))
    return _grid(rows)


def _grid(rows: list[list[Any]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in rows[0] if rows else ():
        table.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def _short(text: str, width: int) -> str:
    """Return the end of a text that is too long: it tells steps apart better than the beginning."""
    if len(text) <= width:
        return text
    return "…" + text[len(text) - width + 1 :] if width > 1 else ""


def _failure(row: Any, seen: Moment) -> Text:
    error = error_of(row)
    cause = error.message.partition("\n")[0] if error else ""
    where = row.path or seen.name
    words = cause if where in cause else f"{where}: {cause}"
    text = Text.assemble(("  failed  ", "bold red"), words)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
