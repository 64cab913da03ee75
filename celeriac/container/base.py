"""The contract between a job and what runs it: a container engine or a plain process.

A :class:`Runner` takes a :class:`Command` (all that is needed to run a tool once), streams its
output to files, enforces its limits, and answers with an :class:`ExitReport`. It raises one of the
:class:`~celeriac.errors.ContainerError` family when the tool could not be run or was ended by
something else than itself; such an error has the fields ``peak_memory`` (bytes), ``cpu_seconds`` and
``exit_code``, as far as they are known of a tool that did run. Whatever happens, nothing is left running
when ``run`` returns; what a plain process sent away from its own group and session is ended within
seconds (``sweep.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from celeriac.errors import Cancelled


@dataclass(frozen=True)
class Mount:
    """One path of the host made visible in the container."""

    source: str  # absolute path on the host
    target: str  # absolute path in the container
    writable: bool = False


@dataclass(frozen=True)
class Image:
    """Where a container image comes from (CWL DockerRequirement, one field each)."""

    name: str  # dockerImageId, else dockerPull: the name to run
    pull: str | None = None  # dockerPull
    load: str | None = None  # dockerLoad: path or URL of an archive made by `docker save`
    file: str | None = None  # dockerFile: the text of a Dockerfile
    import_url: str | None = None  # dockerImport: path or URL of a root file system archive


@dataclass(frozen=True)
class Sharing:
    """Who may run in one container, one after the other: commands of one group that have all else in common."""

    group: str  # such as a step of a run
    own: tuple[Path, ...]  # the directories on the host that are the command's while it runs
    directory: Path  # on the host, on the same file system: for what such a container sees
    inputs: str  # the directory in the container that inputs lie below


@dataclass(frozen=True)
class ContainerSpec:
    """What only a container has."""

    image: Image
    mounts: tuple[Mount, ...] = ()
    user: str | None = None  # "uid:gid" inside; None: the image's own
    network: str | None = "none"  # "none": lo alone, with no name for it; None: the engine's default; else a name
    read_only: bool = True  # the root file system
    shm_size: str | None = None  # e.g. "1g" (cwltool:ShmSize)
    gpus: tuple[str, ...] = ()  # ids of the devices that it may use, as the engine's driver knows them
    allow_pull: bool = True
    force_pull: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    sharing: Sharing | None = None  # None: a container of its own


@dataclass(frozen=True)
class Command:
    """Everything that is needed to run a tool once."""

    name: str  # unique: made of run, step and attempt; a container's name
    argv: tuple[str, ...]
    env: Mapping[str, str]
    workdir: str  # in the container if there is one, else on the host
    stdout: Path  # a file on the host; written while the tool runs
    stderr: Path
    stdin: Path | None = None  # a file on the host; None: empty
    exact_output: bool = True  # a gap in stdout or stderr is an error; False: they are logs alone
    time_limit: float | None = None  # seconds (CWL ToolTimeLimit); None or 0: none
    memory: int | None = None  # bytes, swap included, of all its processes together; None: no limit
    cpus: float | None = None  # CPUs' worth of time; None: no limit
    container: ContainerSpec | None = None  # None: a plain process


@dataclass(frozen=True)
class ExitReport:
    """How a tool ended by itself."""

    exit_code: int  # negative: a process that died of that signal
    seconds: float  # wall clock time between start and end
    peak_memory: int | None = None  # bytes, where the host can tell
    cpu_seconds: float | None = None


class CancelToken:
    """Tells a running tool to stop; set by the heartbeat when the journal says so."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.reason = ""

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` has been called."""
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        """Block for at most ``timeout`` seconds; return whether :meth:`cancel` has been called."""
        return self._event.wait(timeout)

    def error(self, name: str) -> Cancelled:
        """Return what to raise when ``name`` was ended by this token."""
        because = f": {self.reason}" if self.reason else ""
        return Cancelled(f"'{name}' was cancelled{because}", name=name, reason=self.reason)

    def cancel(self, reason: str) -> None:
        """Ask for the end; callbacks run once, in the caller's thread. Twice is no error."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back at cancel (at once if it was called already); returns a function that forgets it."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


class Runner(Protocol):
    """What runs a command."""

    def prepare(self, image: Image, *, allow_pull: bool, force_pull: bool, cancel: CancelToken) -> str:
        """Make the image available; return its id (digest).

        Raises :class:`~celeriac.errors.ImageNotFound`, :class:`~celeriac.errors.EngineUnreachable`,
        :class:`~celeriac.errors.EnginePermissionDenied`, :class:`~celeriac.errors.Cancelled`.
        """

    def run(self, command: Command, cancel: CancelToken) -> ExitReport:
        """Run to the end and leave nothing behind.

        ``stdout`` and ``stderr`` are made anew, and may be one file. Raises a
        :class:`~celeriac.errors.ContainerError`: the image can't be had, the engine is not reachable
        or not permitted, a mount was refused, the program is not there, out of memory, time limit,
        killed from outside, cancelled.
        """

    def clear(self, name: str) -> bool:
        """End whatever is left of the command of that name; return whether nothing of it is left.

        Whoever started it: its worker may have been killed. By force, at once; it is no error if there is
        nothing. False: something does not die, or nobody can tell (the engine does not answer).
        """

    def attempts(self, host: str) -> frozenset[str]:
        """Return the attempts with a container, running or not, that the host of this boot id had made.

        Nothing where nobody can tell; never raises.
        """

    def close(self) -> None:
        """Let go of connections."""
