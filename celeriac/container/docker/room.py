"""The directories of the host that a container sees which commands share: what a command has goes in and out.

Nothing of a command is there while another one runs. What it may write to was mounted when the container was
made, so files move in and out by their names, which costs nothing on one file system; inputs are links.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from celeriac.container.base import Command, Mount, Sharing
from celeriac.container.docker.layout import CantShare, Layout
from celeriac.container.files import open_output

#: Where the container has the files behind standard output and error.
LOGS = "/celeriac"
#: Bytes of a file that is copied where it can't be linked; files and directories that are linked for a command.
SMALL, MANY = 16 * 2**20, 1000
_STDIN = ".stdin"
_NOTHING = "/dev/null"


class Room:
    """Made for one layout; the layouts of later commands differ in their sources alone."""

    def __init__(self, sharing: Sharing, found: Layout) -> None:
        self._root = sharing.directory / f"shared-{uuid.uuid4().hex[:12]}"
        self._inputs_at = sharing.inputs
        self._inputs, self._logs = self._root / "in", self._root / "log"
        self._own = [self._root / f"own{number}" for number, _ in enumerate(found.own)]
        self._there: Layout | None = None
        for directory in (self._inputs, self._logs, *self._own):
            directory.mkdir(parents=True)
        self.mounts = (
            Mount(str(self._inputs), self._inputs_at),
            Mount(str(self._logs), LOGS, writable=True),
            *found.fixed,
            *(Mount(str(mine), mount.target, writable=True) for mine, mount in zip(self._own, found.own, strict=True)),
        )

    def enter(self, command: Command, found: Layout) -> tuple[str, str, str]:
        """Put in what a command has; return where its standard streams are in the container.

        Raises :class:`CantShare` for what can't be put in, and ContainerError for logs that can't be written;
        :meth:`leave` is due in any case.
        """
        self._there = found
        for path in {command.stdout, command.stderr}:
            open_output(path).close()
        for mine, mount in zip(self._own, found.own, strict=True):
            shutil.copymode(mount.source, mine)
            _move(mount.source, mine)
        try:
            self._link_inputs(found)
            return self._link_streams(command)
        except OSError as error:
            raise CantShare(f"{error.filename} can't be put into a container that runs: {error.strerror}") from error

    def _link_inputs(self, found: Layout) -> None:
        for mount in found.inputs:
            target = self._inputs / mount.target[len(self._inputs_at) :].strip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(os.path.realpath(mount.source), str(target))

    def _link_streams(self, command: Command) -> tuple[str, str, str]:
        stdin = _NOTHING
        if command.stdin is not None:
            _link(os.path.realpath(self._moved(command.stdin)), str(self._inputs / _STDIN))
            stdin = f"{self._inputs_at}/{_STDIN}"
        os.link(self._moved(command.stdout), self._logs / "out")
        if command.stdout == command.stderr:
            return stdin, f"{LOGS}/out", f"{LOGS}/out"
        os.link(self._moved(command.stderr), self._logs / "err")
        return stdin, f"{LOGS}/out", f"{LOGS}/err"

    def _moved(self, path: Path) -> Path:
        """Return where a file of the command is while the command is here."""
        assert self._there
        for mine, mount in zip(self._own, self._there.own, strict=True):
            if path.is_relative_to(mount.source):
                return mine / path.relative_to(mount.source)
        return path

    def leave(self) -> None:
        """Give a command back what it has by now, and make way for the next; nobody may run here meanwhile.

        Raises OSError if that can't be done: then the room is not to be used any more.
        """
        found, self._there = self._there, None
        for mine, mount in zip(self._own, found.own if found else (), strict=False):
            mine.chmod(stat.S_IRWXU)
            _move(mine, mount.source)
        for directory in (self._inputs, self._logs):
            for entry in os.scandir(directory):
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    os.unlink(entry.path)

    def close(self) -> None:
        """Remove it all."""
        with contextlib.suppress(OSError):
            _remove(str(self._root))


def _move(source: str | Path, target: str | Path) -> None:
    for name in os.listdir(source):
        _move_entry(os.path.join(source, name), os.path.join(target, name))


def _move_entry(path: str, target: str) -> None:
    mode = os.lstat(path).st_mode
    # the `..` of a directory changes, so its owner has to be let write to it
    is_closed = stat.S_ISDIR(mode) and not mode & stat.S_IWUSR
    if is_closed:
        os.chmod(path, mode | stat.S_IWUSR)
    os.rename(path, target)
    if is_closed:
        os.chmod(target, mode)


def check(found: Layout, sharing: Sharing) -> None:
    """Raise :class:`CantShare` for inputs that would cost more to put in than a container; nothing is done yet."""
    device, left = os.stat(sharing.directory).st_dev, MANY
    for mount in found.inputs:
        for path, status in _files(os.path.realpath(mount.source)):
            left -= 1
            if left < 0:
                raise CantShare(f"its inputs have more than {MANY} files")
            if status.st_dev != device and status.st_size > SMALL:
                raise CantShare(f"{path} is on another file system than the run's directory")


def _files(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield a file or a directory, and all that is in it."""
    with contextlib.suppress(OSError):  # it is met again when it is linked
        status = os.lstat(path)
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            for name in os.listdir(path):
                yield from _files(f"{path}/{name}")


def _link(source: str, target: str) -> None:
    """Link a file or all of a directory, copy what is small; raises OSError and :class:`CantShare`."""
    mode = os.lstat(source).st_mode
    if stat.S_ISDIR(mode):
        os.mkdir(target)
        for name in os.listdir(source):
            _link(f"{source}/{name}", f"{target}/{name}")
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
        elif stat.S_ISREG(mode) and os.path.getsize(source) <= SMALL:
            shutil.copy2(source, target)
        else:
            raise CantShare(f"{source} can't be linked: {error.strerror}") from error


def _remove(path: str) -> None:
    """Remove a directory, also where its owner may not write to what is in it."""

    def permit(function: object, name: str, info: object) -> None:
        os.chmod(os.path.dirname(name), stat.S_IRWXU)
        if os.path.isdir(name) and not os.path.islink(name):
            os.chmod(name, stat.S_IRWXU)
            shutil.rmtree(name)
        else:
            os.unlink(name)

    shutil.rmtree(path, onerror=permit)
