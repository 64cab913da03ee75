"""Where the queue file is: a setting names it, else the working directory or the package has it."""

from __future__ import annotations

import os
from pathlib import Path

FILE_NAME = "queues.yaml"

#: The file that is used when there is no other.
PACKAGED = Path(__file__).with_name("packaged.yaml")


def find(setting: str | None, cwd: Path) -> Path:
    """Return the queue file: the setting, else ``queues.yaml`` in ``cwd``, else :data:`PACKAGED`.

    A path that was set is returned though nothing is there, and so is a ``queues.yaml`` that is a
    broken link: to read it is an error, to take other queues in its place would hide the mistake.
    """
    if setting:
        return cwd / os.path.expanduser(setting)
    here = cwd / FILE_NAME
    return here if os.path.lexists(here) else PACKAGED
