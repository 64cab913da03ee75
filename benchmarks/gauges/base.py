"""What a gauge is: something of ours on a cluster that no peer has, in figures with names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gauge:
    """Something to read off, on workers of a cluster that stays up for all turns.

    ``take(folder, repeat, timeout)`` yields the figures of each turn. It raises ``Unavailable`` where a
    server is missing, ``Failed`` or the run's own error where the work was not done.
    """

    name: str
    take: Callable[[Path, int, float], Iterator[dict[str, float]]]
    timeout: float  # seconds after which a run is given up
