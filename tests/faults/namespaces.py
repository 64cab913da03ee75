"""Namespaces of a test's own: what is mounted or routed in them, nobody else sees, and it goes with them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL

import psutil

from tests.services.process import private_directory, running

#: Kinds, and the words by which unshare and nsenter know them.
_WORDS = {"mnt": "--mount", "net": "--net"}
#: Seconds within which what was killed is gone.
_GONE = 10.0


class Namespaces:
    """Namespaces of some kinds (``mnt``, ``net``), held by a process that does nothing."""

    def __init__(self, holder: int, kinds: Sequence[str]) -> None:
        self.holder = holder
        self._kinds = kinds

    def words(self) -> list[str]:
        """Return the words before a command that is to be in them; it keeps its process id."""
        return ["nsenter", "--target", str(self.holder), *(_WORDS[kind] for kind in self._kinds)]

    def inhabitants(self) -> list[psutil.Process]:
        """Return all processes in the last kind of them but the holder, and what these started."""
        kind = self._kinds[-1]
        own = _link(self.holder, kind)
        here = [one for one in psutil.process_iter() if one.pid != self.holder and _link(one.pid, kind) == own]
        below = []
        for one in here:
            with suppress(psutil.NoSuchProcess):
                below += one.children(recursive=True)
        return [*below, *here]

    def clear(self) -> None:
        """Kill who is left in them."""
        deadline = time.monotonic() + _GONE
        while left := [one for one in self.inhabitants() if one.status() != psutil.STATUS_ZOMBIE]:
            assert time.monotonic() < deadline, f"can't be killed: {left}"
            for one in left:
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(SIGKILL)
            time.sleep(0.1)


@contextmanager
def namespaces(*kinds: str) -> Iterator[Namespaces]:
    """Yield fresh namespaces; who is in them at the end is killed."""
    words = [_WORDS[kind] for kind in kinds] + (["--propagation=private"] if "mnt" in kinds else [])
    before = {kind: _link(os.getpid(), kind) for kind in kinds}
    with private_directory() as directory:

        def ready() -> bool:
            return all(_link(holder.pid, kind) not in ("", before[kind]) for kind in kinds)

        argv = ["unshare", *words, "sh", "-c", "echo there; exec sleep infinity"]
        log = directory / "holder.log"
        with running(argv, ready=lambda: "there" in log.read_text(), log=log) as holder:
            assert ready()
            made = Namespaces(holder.pid, kinds)
            try:
                yield made
            finally:
                made.clear()


def missing() -> str:
    """Say why there can be no namespaces here; empty if there can."""
    if os.geteuid() != 0:
        return "only root can have namespaces of its own"
    lacking = [name for name in ("unshare", "nsenter") if shutil.which(name) is None]
    return f"not on the PATH: {', '.join(lacking)} (util-linux)" if lacking else ""


def _link(pid: int, kind: str) -> str:
    try:
        return os.readlink(Path("/proc", str(pid), "ns", kind))
    except OSError:
        return ""
