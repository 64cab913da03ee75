"""A file system of a test's own that is small, and filled up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.require import require

#: Bytes written at once.
_PIECE = 2**20


class Disk:
    """A mounted file system. Without ``fill`` it has room."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, *, leave: int = 0) -> None:
        """Write until there is no room at all, or ``leave`` bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            while (free := self.free - leave) > 0:
                try:
                    file.write(bytes(min(_PIECE, free)))
                except OSError:  # somebody else took the last of it
                    break

    def empty(self) -> None:
        """Make room again."""
        self._ballast.unlink()

    @property
    def free(self) -> int:
        """Bytes that can be written."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize


@contextmanager
def disk(path: Path, mib: int) -> Iterator[Disk]:
    """Yield a file system of so many MiB, mounted at a new directory until the end of the block."""
    path.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    require(f"no file system can be mounted: {done.stderr.strip()}", available=done.returncode == 0)
    try:
        yield Disk(path)
    finally:
        # also where somebody still has a file of it open
        subprocess.run(["umount", "--lazy", str(path)], check=True)
