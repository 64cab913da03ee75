"""Wake a thread that waits for file descriptors when its work is cancelled."""

from __future__ import annotations

import os
import select
import threading
from types import TracebackType

from celeriac.container.base import CancelToken


def is_readable(fd: int, timeout: float) -> bool:
    """Wait at most ``timeout`` seconds until a descriptor is readable; return whether it is."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0.0, timeout) * 1000))


class Wakeup:
    """A file descriptor that is readable from the moment a token is cancelled."""

    def __init__(self, cancel: CancelToken) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._fd = os.eventfd(0)
        self._forget = cancel.on_cancel(self._ring)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._fd

    def wait(self, timeout: float) -> bool:
        """Block for at most ``timeout`` seconds; return whether the token is cancelled."""
        return is_readable(self._fd, timeout)

    def _ring(self) -> None:
        # cancel() may call after close(): by then the number may be that of another's file
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """Forget the token and close the descriptor."""
        self._forget()
        with self._lock:
            self._closed = True
            os.close(self._fd)

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
