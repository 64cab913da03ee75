"""Named places at which a test has a process die, to see that nothing is lost there.

``CELERIAC_FAILPOINTS`` names a directory. A process that reaches the point ``claim.after`` and can remove
a file there called ``claim.after`` or ``claim.after.SOMETHING`` kills itself: one file, one death.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

#: Says that a point is reached: the name of what is done, and whether it is ``before`` or ``after`` it.
Reach = Callable[[str], None]

#: What is done between ``NAME.before`` and ``NAME.after``.
NAMES = (
    "claim",  # an attempt becomes this worker's
    "create",  # a container is made
    "start",  # a container or process is started
    "commit",  # an attempt's outcome is written
    "rename",  # a run's outputs get their names
    "publish",  # messages of the outbox are sent
)


def nothing(point: str) -> None:
    """Pass every point."""


def failpoints(directory: str) -> Reach:
    """Return what to call at each point; without a directory it does nothing."""
    if not directory:
        return nothing
    place = Path(directory)

    def reach(point: str) -> None:
        for path in sorted([*place.glob(point), *place.glob(f"{point}.*")]):
            try:
                path.unlink()
            except FileNotFoundError:  # another process has taken it
                continue
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
