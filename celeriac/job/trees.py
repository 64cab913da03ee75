"""Directory trees that tools made: copied with links followed, and never without end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from celeriac.job.watch import Check, copy, never

#: Called with the path of a link and where it leads; raises where that may not be read.
Guard = Callable[[str, str], None]


def entries(path: str, above: frozenset[str], guard: Guard | None = None) -> Iterator[tuple[str, str, str]]:
    """Yield the name, class and real path of all in a directory that can be copied and has an end.

    Links are followed. Left out are those that lead nowhere or to a directory ``above``, and what is
    neither file nor directory: to read a pipe waits for ever.
    """
    for name in sorted(os.listdir(path)):
        real = os.path.realpath(os.path.join(path, name))
        if guard is not None:
            guard(os.path.join(path, name), real)
        if os.path.isdir(real) and real not in above:
            yield name, "Directory", real
        elif os.path.isfile(real):
            yield name, "File", real


def copy_file(source: str, target: str, own: str, check: Check = never) -> None:
    """Copy a file, or link it where it lies under ``own`` (with a slash at its end): nobody changes it there."""
    if source.startswith(own):
        try:
            os.link(source, target)
            return
        except OSError:
            pass  # another file system, or one without links
    copy(source, target, check)


def copy_tree(
    source: str,
    target: str,
    own: str,
    check: Check = never,
    above: frozenset[str] = frozenset(),
    guard: Guard | None = None,
) -> None:
    """Copy what :func:`entries` yields of a directory, a real path, as :func:`copy_file` does."""
    os.makedirs(target, exist_ok=True)
    above |= {source}
    for name, kind, real in entries(source, above, guard):
        if kind == "Directory":
            copy_tree(real, os.path.join(target, name), own, check, above, guard)
        else:
            copy_file(real, os.path.join(target, name), own, check)
