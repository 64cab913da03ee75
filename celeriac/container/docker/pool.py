"""The containers that commands share, each for as long as more of its kind come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from celeriac.container.base import CancelToken, Command, ContainerSpec, ExitReport
from celeriac.container.docker.connection import Connection
from celeriac.container.docker.fence import Fence
from celeriac.container.docker.images import Images
from celeriac.container.docker.layout import CantShare, Layout, Unfit, key, layout
from celeriac.container.docker.room import Room, check
from celeriac.container.docker.shared import Shared
from celeriac.errors import NameTaken

#: Seconds after which a container goes that no command has used.
IDLE = 5.0


class Pool:
    """The shared containers of one process: as many at most as commands run at a time. For many threads."""

    def __init__(self, connection: Connection, images: Images, fence: Fence) -> None:
        self._connection = connection
        self._images = images
        self._fence = fence
        self._lock = threading.Lock()
        self._free: dict[Hashable, list[Shared]] = {}
        self._unfit: dict[str, str] = {}  # images that can't share, and why
        self._removals: list[threading.Thread] = []
        self._closed = False
        self._timer: threading.Timer | None = None

    def run(self, command: Command, spec: ContainerSpec, cancel: CancelToken) -> ExitReport:
        """Run a command in a container of its kind; raises :class:`CantShare` where nothing was run."""
        assert spec.sharing
        found = layout(command, spec, spec.sharing)
        check(found, spec.sharing)
        image = self._images.identify(spec.image, allow_pull=spec.allow_pull, force_pull=spec.force_pull, cancel=cancel)
        if image in self._unfit:
            raise CantShare(self._unfit[image])
        with self._borrowed(key(command, spec, spec.sharing, image, found), image, command, found, cancel) as one:
            return one.run(command, found, spec.image.name, cancel)

    def close(self) -> None:
        """Remove all that no command uses; who uses one removes it."""
        with self._lock:
            self._closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._dismiss(lambda one: True)
        for thread in self._removals:
            thread.join()

    @contextmanager
    def _borrowed(
        self, kind: Hashable, image: str, command: Command, found: Layout, cancel: CancelToken
    ) -> Iterator[Shared]:
        one = self._taken(kind, command) or self._made(image, command, found, cancel)
        try:
            yield one
        except CantShare:
            one.close()  # or it would have the name that the command's own is to have
            raise
        finally:
            self._give_back(kind, one)

    def _taken(self, kind: Hashable, command: Command) -> Shared | None:
        """Return one that is free, under the command's name; None if there is none."""
        while True:
            with self._lock:
                free = self._free.get(kind)
                one = free.pop() if free else None
            if one is None:
                return None
            try:
                renamed = one.is_usable and self._fence.rename(one.container, command)
            except NameTaken:
                self._give_back(kind, one)
                raise
            except BaseException:
                one.close()
                raise
            if renamed:
                return one
            one.close()

    def _made(self, image: str, command: Command, found: Layout, cancel: CancelToken) -> Shared:
        """Return a new one; one that nobody uses makes way for it."""
        self._dismiss(lambda one: True, most=1)
        spec = command.container
        assert spec and spec.sharing
        room = Room(spec.sharing, found)
        one = Shared(self._connection, self._fence, room, self._images.entrypoint(image))
        try:
            one.container = self._fence.create(command, replace(spec, mounts=room.mounts), cancel)
            one.start(cancel)
        except BaseException as error:
            one.close()
            if isinstance(error, Unfit):
                self._unfit[image] = str(error)
            raise
        return one

    def _give_back(self, kind: Hashable, one: Shared) -> None:
        with self._lock:
            keeps = one.is_usable and not self._closed
            if keeps:
                one.free_since = time.monotonic()
                self._free.setdefault(kind, []).append(one)
                if self._timer is None:
                    self._wait()
        if not keeps:
            one.close()

    def _wait(self) -> None:
        """Have those looked at soon that nobody uses; to be called with the lock held."""
        self._timer = threading.Timer(IDLE, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        since = time.monotonic() - IDLE
        self._dismiss(lambda one: one.free_since <= since)
        with self._lock:
            self._timer = None
            if any(self._free.values()) and not self._closed:
                self._wait()

    def _dismiss(self, over: Callable[[Shared], bool], most: int | None = None) -> None:
        """Have those removed, in threads of their own, that nobody uses and that ``over`` tells; the oldest first."""
        with self._lock:
            free = sorted((one for ones in self._free.values() for one in ones if over(one)), key=_age)[:most]
            self._free = {kind: [one for one in ones if one not in free] for kind, ones in self._free.items()}
            self._free = {kind: ones for kind, ones in self._free.items() if ones}
            self._removals = [thread for thread in self._removals if thread.is_alive()]
            started = [threading.Thread(target=one.close, name="celeriac-shared", daemon=True) for one in free]
            self._removals += started
            for thread in started:
                thread.start()


def _age(one: Shared) -> float:
    return one.free_since
