"""What is left of an attempt whose worker died, as a container or as plain processes."""

from __future__ import annotations

from collections.abc import Callable

from celeriac.container.base import Runner
from celeriac.names import container_of


def clear(attempt: str, processes: Callable[[], Runner], containers: Callable[[], Runner]) -> bool:
    """End it, whichever of the two it is; return whether nothing of it is left."""
    return processes().clear(attempt) and containers().clear(container_of(attempt))
